package devidp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// serve answers a request, and spoils the answer if that was asked for.
func (f *faults) serve(e Endpoint, grantType string, x *exchange, serve func(*exchange)) {
	fault, spoiled := f.draw(e, grantType)
	if !spoiled {
		serve(x)
		return
	}
	f.wait(fault, x)
	switch {
	case fault.Truncate || fault.Pad > 0 || len(fault.Members) > 0:
		fault.rework(x, serve)
		return
	case !fault.Drop && !fault.answers():
		serve(x)
		return
	case fault.After:
		lost := *x
		lost.w = discard{http.Header{}}
		serve(&lost)
	}
	if fault.Drop {
		panic(http.ErrAbortHandler) // net/http's way to close a connection, logged by nobody
	}
	fault.write(x.w)
}

// wait lets the latency pass, or hangs. It ends when the caller goes away.
func (f *faults) wait(fault Fault, x *exchange) {
	if fault.Latency <= 0 && !fault.Hang {
		return
	}
	x.buffer()
	f.mu.Lock()
	mended := f.mended
	f.mu.Unlock()
	var passed <-chan time.Time
	if !fault.Hang {
		timer := time.NewTimer(fault.Latency)
		defer timer.Stop()
		passed, mended = timer.C, nil
	}
	select {
	case <-passed:
	case <-mended:
	case <-x.r.Context().Done():
	}
	if fault.Hang {
		panic(http.ErrAbortHandler)
	}
	x.now = x.idp.cfg.Now()
}

func (f Fault) write(w http.ResponseWriter) {
	kind := f.ContentType
	if kind == "" {
		kind = "text/html; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	_, _ = w.Write([]byte(f.Body))
}

// rework serves the right answer in another shape, cut off, or behind much white space.
func (f Fault) rework(x *exchange, serve func(*exchange)) {
	whole := &kept{ResponseWriter: x.w}
	held := *x
	held.w = whole
	serve(&held)
	body := whole.body
	if object, err := parseObject(body); err == nil && len(f.Members) > 0 {
		lay(object, f.Members)
		if reshaped, err := json.Marshal(object); err == nil {
			body = reshaped
		}
	}
	if f.Truncate {
		body = body[:len(body)/2]
	}
	blank := bytes.Repeat([]byte(" "), 32<<10)
	for left := f.Pad; left > 0; left -= len(blank) {
		if _, err := x.w.Write(blank[:min(left, len(blank))]); err != nil {
			return // the caller has had enough
		}
	}
	_, _ = x.w.Write(body)
}

// kept holds a body back. The status is written by the time that it ends.
type kept struct {
	http.ResponseWriter
	body []byte
}

func (k *kept) Write(b []byte) (int, error) {
	k.body = append(k.body, b...)
	return len(b), nil
}

// discard is an answer that never arrives.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
