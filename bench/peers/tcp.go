// An echo server on Go's net and crypto/tls: tcp PORT [CERT KEY].
package main

import (
	"crypto/tls"
	"log"
	"net"
	"os"
)

func listen() (net.Listener, error) {
	address := "127.0.0.1:" + os.Args[1]
	if len(os.Args) < 4 {
		return net.Listen("tcp", address)
	}
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	return tls.Listen("tcp", address, config)
}

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err == nil {
			go echo(connection)
		}
	}
}
