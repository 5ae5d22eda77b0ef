package tokenapi

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

const (
	contentJSON = "application/json" // of every answer, with nothing after it: clients compare the whole (tokens.md 3.3)
	contentForm = "application/x-www-form-urlencoded"

	maxReused = 64 << 10 // a larger buffer is not kept
)

// fault is what is wrong with a request, in Texas' words.
type fault struct {
	kind string // "error_kind" of the metrics
	text string
}

func mediaFault(text string) *fault { return &fault{"UnsupportedMediaType", text} }

func contentFault(text string) *fault { return &fault{"UnprocessableContent", text} }

// read reads a request, or answers that it cannot be.
func (v *visit) read() (in input, ok bool) {
	problem := v.h.read(v.r, v.endpoint, &in)
	if in.provider != nil {
		v.provider, v.target = in.provider, in.target
	}
	if problem != nil {
		v.failRequest(problem)
		return in, false
	}
	v.counts().requests.Inc()
	return in, true
}

func (h *Handler) read(r *http.Request, e *endpoint, in *input) *fault {
	isForm, problem := contentType(r.Header)
	if problem != nil {
		return problem
	}
	text, problem := h.body(r)
	switch {
	case problem != nil:
		return problem
	case isForm:
		return h.readForm(e, text, in)
	}
	return h.readJSON(e, text, in)
}

// contentType is Texas' test: the beginning of the value, in these letters (tokens.md 1.2). What only begins like JSON's type is refused by
// the parser behind it.
func contentType(header http.Header) (isForm bool, problem *fault) {
	value := ""
	if values := header["Content-Type"]; len(values) > 0 && utf8.ValidString(values[0]) {
		value = values[0]
	}
	rest, isJSON := strings.CutPrefix(value, contentJSON)
	switch {
	case isJSON && (rest == "" || strings.HasPrefix(strings.TrimLeft(rest, " \t"), ";")):
		return false, nil
	case isJSON:
		return false, mediaFault("Expected request with `Content-Type: application/json`")
	case strings.HasPrefix(value, contentForm):
		return true, nil
	}
	return false, mediaFault("unsupported media type: " + value + ": expected one of `application/json`, `application/x-www-form-urlencoded`")
}

// body reads the whole body into one text, of which the fields will be parts.
func (h *Handler) body(r *http.Request) (string, *fault) {
	tooLong := r.ContentLength > int64(h.limit)
	buffer := h.buffers.Get().(*[]byte)
	b := (*buffer)[:0]
	for !tooLong {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		tooLong = len(b) > h.limit
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", contentFault("Failed to buffer the request body: it broke off")
		}
	}
	if tooLong {
		return "", contentFault("Failed to buffer the request body: length limit exceeded")
	}
	text := string(b)
	h.reuse(buffer, b)
	return text, nil
}

// reuse gives a buffer back, with the memory that it has by now.
func (h *Handler) reuse(buffer *[]byte, b []byte) {
	if cap(b) <= maxReused {
		*buffer = b[:0]
		h.buffers.Put(buffer)
	}
}
