// Talks to an echo server with gorilla/websocket: gorilla_client URL COMPRESSED LARGE_BYTES
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(ws *websocket.Conn, kind int, expected []byte) {
	found, data, err := ws.ReadMessage()
	check(err)
	if found != kind || !bytes.Equal(data, expected) {
		panic(fmt.Sprintf("%d bytes of kind %d came back, not %d of %d", len(data), found, len(expected), kind))
	}
}

func main() {
	compressed := os.Args[2] == "true"
	large, err := strconv.Atoi(os.Args[3])
	check(err)
	dialer := websocket.Dialer{EnableCompression: compressed, WriteBufferSize: 1024}
	ws, response, err := dialer.Dial(os.Args[1], nil)
	check(err)
	if (response.Header.Get("Sec-Websocket-Extensions") != "") != compressed {
		panic("agreed on " + response.Header.Get("Sec-Websocket-Extensions"))
	}
	for _, text := range []string{"", "grüß 😀", strings.Repeat("again and ", 5000)} {
		check(ws.WriteMessage(websocket.TextMessage, []byte(text)))
		expect(ws, websocket.TextMessage, []byte(text))
	}
	data := bytes.Repeat([]byte("0123456789abcde_"), large/16)
	for _, size := range []int{0, 1, 126, 65536, len(data)} {
		check(ws.WriteMessage(websocket.BinaryMessage, data[:size]))
		expect(ws, websocket.BinaryMessage, data[:size])
	}
	// A writer sends a fragment whenever its buffer of 1024 bytes is full.
	writer, err := ws.NextWriter(websocket.BinaryMessage)
	check(err)
	for i := 0; i < 10; i++ {
		_, err = writer.Write(data[i*1000 : (i+1)*1000])
		check(err)
	}
	check(writer.Close())
	expect(ws, websocket.BinaryMessage, data[:10000])
	check(ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4321, "bye")))
	_, _, err = ws.ReadMessage()
	if !websocket.IsCloseError(err, 4321) {
		panic(err)
	}
	fmt.Println("ok")
}
