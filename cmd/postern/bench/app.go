package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// Paths of the app.
const (
	pathSmall   = "/small"   // 1 KiB
	pathLarge   = "/large"   // 64 KiB
	pathHeaders = "/headers" // the headers of the request, as JSON
	pathCounts  = "/-/counts"
)

const smallSize = 1 << 10

// counts are the requests for bodies that the app has seen.
type counts struct {
	Requests   int64 // all of them
	Identified int64 // those that say who is calling
	Handed     int64 // those that bring a token for the next API
}

// newApp is the app behind the targets.
func newApp() http.Handler {
	var requests, identified, handed atomic.Int64
	mux := http.NewServeMux()
	for path, size := range map[string]int{pathSmall: smallSize, pathLarge: 64 << 10} {
		body := bytes.Repeat([]byte("x"), size)
		length := []string{strconv.Itoa(size)}
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if speaksForSomebody(r.Header) {
				identified.Add(1)
			}
			if r.Header.Get(headerNext) != "" {
				handed.Add(1)
			}
			header := w.Header()
			header["Content-Length"], header["Content-Type"] = length, []string{"text/plain"}
			_, _ = w.Write(body)
		})
	}
	mux.HandleFunc(pathHeaders, func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(r.Header) })
	mux.HandleFunc(pathCounts, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(counts{requests.Load(), identified.Load(), handed.Load()})
	})
	return mux
}

// speaksForSomebody says that a request carries what the app needs to know its caller: a token and a name.
func speaksForSomebody(h http.Header) bool {
	return strings.HasPrefix(h.Get("Authorization"), "Bearer ") && h.Get("X-Postern-Subject") != ""
}

// countsOf asks the app.
func countsOf(ctx context.Context, app *process) (counts, error) {
	var c counts
	return c, getJSON(ctx, "http://"+app.address+pathCounts, nil, &c)
}

// addHeader makes a request one with these headers, among them Host.
func addHeader(request *http.Request, header http.Header) {
	if header != nil {
		request.Header, request.Host = header.Clone(), header.Get("Host")
		request.Header.Del("Host")
	}
}

// getJSON reads the JSON answer to a GET with these headers.
func getJSON(ctx context.Context, url string, header http.Header, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	addHeader(request, header)
	response, err := plain().Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", request.URL.Host, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("ask %s: %w", request.URL.Host, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s for %s: status %d", request.URL.Host, request.URL.Path, response.StatusCode)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", request.URL.Host, err)
	}
	return nil
}
