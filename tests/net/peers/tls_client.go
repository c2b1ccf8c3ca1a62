// A TLS client: tls_client ADDRESS CA VERSION NAME [CERT KEY [ALPN]]. Sends a request, prints the answer.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"time"
)

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	pem, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	version := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[os.Args[3]]
	config := &tls.Config{RootCAs: pool, ServerName: os.Args[4], MinVersion: version, MaxVersion: version}
	if len(os.Args) > 6 && os.Args[5] != "" {
		pair, err := tls.LoadX509KeyPair(os.Args[5], os.Args[6])
		if err != nil {
			fail(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if len(os.Args) > 7 {
		config.NextProtos = []string{os.Args[7]}
	}
	connection, err := tls.Dial("tcp", os.Args[1], config)
	if err != nil {
		fail(err)
	}
	connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		fail(err)
	}
	if _, err = io.Copy(os.Stdout, connection); err != nil {
		fail(err)
	}
}
