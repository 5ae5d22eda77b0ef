package forward

import (
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
)

// interim passes on what the server says before it answers (RFC 9110 §15.2). The transport's goroutine may do so when nobody waits any more.
type interim struct {
	trace httptrace.ClientTrace

	mu       sync.Mutex
	exchange *exchange // nil when the answer is there
}

func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.exchange = nil
}

// pass has the shape of the transport's hook.
func (i *interim) pass(status int, from textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.exchange == nil {
		return nil
	}
	client := i.exchange.client
	header := client.Header()
	ours := maps.Clone(header)
	clear(header)
	removeNamed(http.Header(from))
	addHeader(header, http.Header(from))
	i.exchange.clean(header)
	i.exchange.writes.begin(client)
	client.WriteHeader(status) // to the connection, at once
	i.exchange.writes.end()
	clear(header) // net/http keeps it for the answer
	maps.Copy(header, ours)
	return nil
}
