package main

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"
)

// bareGC is the GOGC of the bare proxy: Go collects at 4 MiB times GOGC/100 at the earliest, so this is Go's own and the room of 32 MiB for
// garbage that Postern gives itself.
const bareGC = "GOGC=900"

// bareConfig makes a bare proxy send what Postern sends.
type bareConfig struct {
	App  string              // host:port
	Set  map[string][]string // headers that Postern writes
	Drop []string            // headers of the client that Postern does not pass on
}

// sendAlike is the configuration by which headers as the client sends them become headers as the app got them from Postern.
func sendAlike(app string, sent, got http.Header) bareConfig {
	c := bareConfig{App: app, Set: map[string][]string{}}
	for name, values := range got {
		if !slices.Equal(values, sent[name]) {
			c.Set[name] = values
		}
	}
	for name := range sent {
		if _, there := got[name]; !there && name != "Host" {
			c.Drop = append(c.Drop, name)
		}
	}
	return c
}

// newBare is the least that a reverse proxy of Go's standard library has to do, done well.
func newBare(c bareConfig) http.Handler {
	target := &url.URL{Scheme: "http", Host: c.App}
	type header struct {
		name   string
		values []string
	}
	var set []header // quicker to walk than a map
	for name, values := range c.Set {
		set = append(set, header{name, values})
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			for _, name := range c.Drop {
				delete(r.Out.Header, name)
			}
			for i := range set {
				r.Out.Header[set[i].name] = set[i].values
			}
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			DisableCompression:  true,
			MaxIdleConns:        256,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     90 * time.Second,
		},
		BufferPool: new(bareBuffers),
	}
}

// bareBuffers keeps copy buffers, as pointers: a slice put into a pool is an allocation each time.
type bareBuffers struct{ pool sync.Pool }

const bareBuffer = 32 << 10

// Get implements [httputil.BufferPool].
func (b *bareBuffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[bareBuffer]byte); ok {
		return kept[:]
	}
	return make([]byte, bareBuffer)
}

// Put implements [httputil.BufferPool].
func (b *bareBuffers) Put(buffer []byte) { b.pool.Put((*[bareBuffer]byte)(buffer)) }
