package trace

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Kind says on which side of a call a span is. The values are those of OTLP.
type Kind byte

// The kinds that occur here.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Record is a span that has ended.
type Record struct {
	Trace      [16]byte
	ID, Parent [8]byte // Parent is zero at the root
	Remote     bool    // the parent is somebody else's
	Name       string
	Kind       Kind
	Start, End time.Time
	Attributes []Attribute
	Failed     bool
}

// Attribute is one fact about a span: a text, a number or a yes or no.
type Attribute struct {
	Key    string
	Type   Type
	Text   string
	Number int64 // also 1 and 0 for yes and no
}

// Type says which member of an [Attribute] counts.
type Type byte

// The types of attributes.
const (
	Text Type = iota
	Number
	Bool
)

// Span is something that takes time. The nil Span is that of a request that is not recorded, and everything can be called on it.
type Span struct {
	Scope

	tracer *Tracer
	mu     sync.Mutex // a request that was given up may end its span while somebody still works for it
	ended  bool
	rec    Record
	room   [8]Attribute // most have no more
}

const maxAttributes = 32

// Start begins a span below that of ctx, and returns the context for what happens in it.
func Start(ctx context.Context, name string, kind Kind) (context.Context, *Span) {
	above := ScopeOf(ctx)
	if above == nil || above.span == nil {
		return ctx, nil
	}
	s := above.span.child(name, kind)
	s.Scope.Context = ctx
	return &s.Scope, s
}

func (s *Span) child(name string, kind Kind) *Span {
	c := &Span{tracer: s.tracer, rec: Record{Trace: s.rec.Trace, Parent: s.rec.ID, Name: name, Kind: kind, Start: s.tracer.now()}}
	c.rec.Attributes = c.room[:0]
	c.rec.ID = s.tracer.newSpanID()
	c.Scope = s.Scope
	c.span = c
	return c
}

// Child begins a span below s for what has no context of its own.
func (s *Span) Child(name string, kind Kind) *Span {
	if s == nil {
		return nil
	}
	return s.child(name, kind)
}

// Rename gives the span a better name than was known when it began.
func (s *Span) Rename(name string) {
	if s != nil {
		s.mu.Lock()
		s.rec.Name = clean(name)
		s.mu.Unlock()
	}
}

// SetText adds a text, unless it is empty. What is longer than 256 bytes is cut, and digits that could be a personal number are masked.
func (s *Span) SetText(key, text string) {
	if s != nil && text != "" {
		s.set(Attribute{Key: key, Type: Text, Text: clean(text)})
	}
}

// SetNumber adds a number.
func (s *Span) SetNumber(key string, n int64) {
	if s != nil {
		s.set(Attribute{Key: key, Type: Number, Number: n})
	}
}

// SetBool adds a yes or no.
func (s *Span) SetBool(key string, yes bool) {
	if s == nil {
		return
	}
	a := Attribute{Key: key, Type: Bool}
	if yes {
		a.Number = 1
	}
	s.set(a)
}

func (s *Span) set(a Attribute) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended && len(s.rec.Attributes) < maxAttributes {
		s.rec.Attributes = append(s.rec.Attributes, a)
	}
}

// Fail marks the span as one that went wrong. kind is the stable name of what did ("error.type" of OpenTelemetry), not its text.
func (s *Span) Fail(kind string) {
	if s == nil {
		return
	}
	s.SetText("error.type", kind)
	s.mu.Lock()
	s.rec.Failed = true
	s.mu.Unlock()
}

// End ends the span, once. Of an error nothing is told but that there was one: its text may quote anybody.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.Fail(kindOf(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	done := s.rec // by itself: what waits to be sent must not keep the request alive
	done.End = s.tracer.now()
	done.Attributes = append([]Attribute(nil), done.Attributes...)
	s.tracer.sink.Take(&done)
}

// kindOf is the closed set of what an error may be here.
func kindOf(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}

// Inject writes the context of the span into the header of a call.
func (s *Span) Inject(header http.Header) {
	if s != nil {
		s.Scope.Inject(header)
	}
}

// parentText is the traceparent of what is called from here (W3C Trace Context, version 00).
func parentText(trace [16]byte, id [8]byte, sampled bool) string {
	var b [55]byte
	copy(b[:], "00-")
	hex.Encode(b[3:35], trace[:])
	b[35] = '-'
	hex.Encode(b[36:52], id[:])
	copy(b[52:], "-00")
	if sampled {
		b[54] = '1'
	}
	return string(b[:])
}
