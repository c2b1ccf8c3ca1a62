// A server on gorilla/websocket that sends each message to all: room PORT
package main

import (
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
var mutex sync.Mutex
var room = map[*websocket.Conn]bool{}

func tell(kind int, message []byte) error {
	prepared, err := websocket.NewPreparedMessage(kind, message)
	if err != nil {
		return err
	}
	mutex.Lock()
	defer mutex.Unlock()
	for member := range room {
		member.WritePreparedMessage(prepared)
	}
	return nil
}

func join(w http.ResponseWriter, r *http.Request) {
	connection, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer connection.Close()
	mutex.Lock()
	room[connection] = true
	mutex.Unlock()
	for {
		kind, message, err := connection.ReadMessage()
		if err != nil || tell(kind, message) != nil {
			mutex.Lock()
			delete(room, connection)
			mutex.Unlock()
			return
		}
	}
}

func main() {
	http.HandleFunc("/", join)
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
