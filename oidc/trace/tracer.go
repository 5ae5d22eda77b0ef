package trace

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"time"

	"postern/oidc/correlation"
)

// Sink takes spans that have ended. It must not wait for anything.
type Sink interface {
	Take(*Record)
}

// Config is what a [Tracer] needs.
type Config struct {
	Sampler Sampler
	Sink    Sink
	Now     func() time.Time // nil: time.Now
	Random  func() uint64    // for ids, which are no secrets; nil: crypto/rand
}

// Sampler says which requests are recorded.
type Sampler struct {
	ParentBased bool    // a believed parent decides; the ratio is for requests without one
	Ratio       float64 // 0: none, 1: all
}

// Tracer decides about requests. The nil Tracer records nothing and looks at nothing.
type Tracer struct {
	sampler Sampler
	below   uint64 // 63 bits of the trace id, as the TraceIdRatioBased sampler of OpenTelemetry compares them
	sink    Sink
	now     func() time.Time
	random  func() uint64
}

// New makes a tracer.
func New(cfg Config) *Tracer {
	t := &Tracer{sampler: cfg.Sampler, sink: cfg.Sink, now: cfg.Now, random: cfg.Random}
	if t.now == nil {
		t.now = time.Now
	}
	if t.random == nil {
		t.random = random
	}
	switch ratio := cfg.Sampler.Ratio; {
	case ratio >= 1:
		t.below = 1 << 63
	case ratio > 0:
		t.below = uint64(ratio * (1 << 63))
	}
	return t
}

// Begin makes the scope of a request that has just come, whose log lines get the id of its trace, and opens its span if it is to be recorded.
// Call [Span.End] on what it returns. A stranger's trace context gives the id of the trace, and has no say in whether it is recorded (S-57):
// neither by its flag nor by an id that was chosen for that.
func (t *Tracer) Begin(scope *Scope, ctx *correlation.Context, header http.Header, believed bool, name string) *Span {
	scope.Context = ctx
	if t == nil {
		return nil
	}
	parent, valid := correlation.ReadTraceParent(header)
	sampled := false
	switch {
	case valid && believed && t.sampler.ParentBased:
		sampled = parent.Sampled
	case valid && believed: // everybody whom the trace meets comes to the same answer
		sampled = binary.BigEndian.Uint64(parent.Trace[8:])>>1 < t.below
	default:
		sampled = t.random()>>1 < t.below
	}
	if !valid {
		_, _ = hex.Decode(parent.Trace[:], []byte(ctx.TraceID()))
	}
	scope.state = valid
	if !sampled {
		if scope.made = !valid; scope.made {
			scope.parent = parentText(parent.Trace, t.newSpanID(), false)
		} else { // it goes on as it came
			scope.parent = header["Traceparent"][0]
		}
		return nil
	}
	s := &Span{tracer: t, rec: Record{Trace: parent.Trace, Parent: parent.Span, Remote: valid, ID: t.newSpanID(), Name: name, Kind: Server, Start: t.now()}}
	s.rec.Attributes = s.room[:0]
	scope.parent, scope.made, scope.span = parentText(parent.Trace, s.rec.ID, true), true, s
	s.Scope = *scope
	return s
}

func random() uint64 {
	var n [8]byte
	_, _ = rand.Read(n[:]) // never fails
	return binary.NativeEndian.Uint64(n[:])
}

func (t *Tracer) newSpanID() (id [8]byte) {
	binary.BigEndian.PutUint64(id[:], t.random()|1)
	return id
}
