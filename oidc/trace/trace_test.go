package trace

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/oidc/correlation"
)

// kept is a Sink that keeps everything.
type kept struct {
	mu   sync.Mutex
	took []*Record
}

func (k *kept) Take(r *Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.took = append(k.took, r)
}

const (
	someTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	someParent = "00-" + someTrace + "-00f067aa0ba902b7-01"
)

// request has the ids of a request with this header.
func request(parent context.Context, header http.Header) *correlation.Context {
	ctx := new(correlation.Context)
	ctx.Begin(parent, correlation.NewRequestIDs(), header)
	return ctx
}

func withParent(parents ...string) http.Header { return http.Header{"Traceparent": parents} }

func TestS57WhoDecidesWhatIsRecorded(t *testing.T) {
	t.Parallel()
	const never, always = ^uint64(0), uint64(0)
	unsampled := strings.TrimSuffix(someParent, "1") + "0"
	for name, test := range map[string]struct {
		sampler  Sampler
		parent   string
		believed bool
		random   uint64
		want     bool
	}{
		"nobody, all":                        {Sampler{true, 1}, "", true, never, true},
		"nobody, none":                       {Sampler{true, 0}, "", true, always, false},
		"nobody, half, a high id":            {Sampler{true, .5}, "", true, never, false},
		"nobody, half, a low id":             {Sampler{true, .5}, "", true, always, true},
		"a parent":                           {Sampler{true, 0}, someParent, true, never, true},
		"a parent that does not":             {Sampler{true, 1}, unsampled, true, always, false},
		"a parent, not asked":                {Sampler{false, 0}, someParent, true, always, false},
		"a stranger's flag":                  {Sampler{true, 0}, someParent, false, always, false},
		"a stranger who would be unseen":     {Sampler{true, 1}, unsampled, false, never, true},
		"a stranger's id, chosen to be low":  {Sampler{true, .5}, "00-" + strings.Repeat("0", 31) + "1-00f067aa0ba902b7-01", false, never, false},
		"a stranger's id, chosen to be high": {Sampler{true, .5}, "00-" + strings.Repeat("f", 32) + "-00f067aa0ba902b7-00", false, always, true},
		"a malformed parent":                 {Sampler{true, 0}, "00-x", true, always, false},
	} {
		tracer := New(Config{Sampler: test.sampler, Sink: &kept{}, Random: func() uint64 { return test.random }})
		header := http.Header{}
		if test.parent != "" {
			header = withParent(test.parent)
		}
		var scope Scope
		if got := tracer.Begin(&scope, request(t.Context(), header), header, test.believed, "x") != nil; got != test.want {
			t.Errorf("%s: recorded %v", name, got)
		}
	}
}

func TestSpansMakeATree(t *testing.T) {
	t.Parallel()
	sink := &kept{}
	now := time.Unix(1000, 0)
	tracer := New(Config{Sampler: Sampler{ParentBased: true}, Sink: sink, Now: func() time.Time { now = now.Add(time.Second); return now }})
	var scope Scope
	root := tracer.Begin(&scope, request(t.Context(), withParent(someParent)), withParent(someParent), true, "request")
	ctx, child := Start(&scope, "child", Client)
	child.SetText("text", "a 01017012345 b")
	child.SetText("empty", "")
	child.SetNumber("number", -3)
	child.SetBool("yes", true)
	_, grandchild := Start(Carry(context.Background(), ctx), "grandchild", Internal)
	grandchild.End(context.DeadlineExceeded)
	child.End(errors.New("a secret"))
	child.End(nil)
	child.SetText("late", "x")
	root.Rename("GET x")
	root.End(nil)
	names := map[string]*Record{}
	for _, r := range sink.took {
		names[r.Name] = r
	}
	if len(sink.took) != 3 || len(names) != 3 {
		t.Fatalf("%d spans", len(sink.took))
	}
	if names["child"].Parent != names["GET x"].ID || names["grandchild"].Parent != names["child"].ID || !names["GET x"].Remote || names["child"].Remote {
		t.Error("the tree is another one")
	}
	want := []Attribute{
		{Key: "text", Text: "a *********** b"}, {Key: "number", Type: Number, Number: -3}, {Key: "yes", Type: Bool, Number: 1}, {Key: "error.type", Text: "error"},
	}
	if diff := cmp.Diff(want, names["child"].Attributes); diff != "" || !names["child"].Failed || names["GET x"].Failed {
		t.Error(diff)
	}
	if got := names["grandchild"].Attributes[0].Text; got != "timeout" {
		t.Errorf("error.type %q", got)
	}
	if !names["child"].End.After(names["child"].Start) {
		t.Error("it took no time")
	}
}

func TestContextGoesOnToWhatIsCalled(t *testing.T) {
	t.Parallel()
	tracer := New(Config{Sampler: Sampler{ParentBased: true, Ratio: 1}, Sink: &kept{}})
	silent := New(Config{Sampler: Sampler{}, Sink: &kept{}})
	for name, test := range map[string]struct {
		tracer *Tracer
		in     http.Header
		want   func(got http.Header, ids *correlation.Context) bool
	}{
		"recorded": {tracer, withParent(someParent), func(got http.Header, ids *correlation.Context) bool {
			p := got.Get("Traceparent")
			return strings.HasPrefix(p, "00-"+someTrace) && strings.HasSuffix(p, "-01") && p != someParent && got.Get("Tracestate") == "a=b"
		}},
		"recorded, a trace of ours": {tracer, withParent("malformed"), func(got http.Header, ids *correlation.Context) bool {
			return got.Get("Traceparent")[3:35] == ids.TraceID() && got["Tracestate"] == nil
		}},
		"not recorded": {silent, withParent(someParent), func(got http.Header, _ *correlation.Context) bool { return got.Get("Traceparent") == someParent }},
		"not recorded, a trace of ours": {silent, http.Header{}, func(got http.Header, ids *correlation.Context) bool {
			return got.Get("Traceparent")[3:35] == ids.TraceID() && strings.HasSuffix(got.Get("Traceparent"), "-00")
		}},
		"off": {nil, withParent(someParent), func(got http.Header, ids *correlation.Context) bool {
			return got.Get("Traceparent") == someParent && ids.TraceID() == someTrace
		}},
	} {
		test.in.Set("Tracestate", "a=b")
		var scope Scope
		ids := request(t.Context(), test.in)
		test.tracer.Begin(&scope, ids, test.in, true, "x")
		out := test.in.Clone()
		if scope.Inject(out); !test.want(out, ids) {
			t.Errorf("%s: %v", name, out)
		}
	}
}

// S-37: what becomes an attribute.
func TestS37AttributesAreCutAndMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1234567890": "1234567890", "12345678901": "***********", "x012345678901y": "x************y", "a\xffb": "a\uFFFDb",
		strings.Repeat("x", 250) + "01017012345": strings.Repeat("x", 250) + "******…",
		strings.Repeat("ø", 200):                 strings.Repeat("ø", 128) + "…",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// What is not recorded costs no allocation.
func TestNothingRecordedAllocatesNothing(t *testing.T) {
	header := withParent(strings.TrimSuffix(someParent, "1") + "0")
	tracer := New(Config{Sampler: Sampler{ParentBased: true, Ratio: 1}, Sink: &kept{}})
	scope, ids := new(Scope), request(t.Context(), header)
	for name, tracer := range map[string]*Tracer{"off": nil, "unsampled": tracer} {
		if n := testing.AllocsPerRun(100, func() {
			*scope = Scope{}
			span := tracer.Begin(scope, ids, header, true, "x")
			ctx, child := Start(scope, "child", Client)
			child.SetText("a", "b")
			child.SetNumber("a", 1)
			child.End(nil)
			span.Child("x", Internal).End(nil)
			_ = ctx.Err()
			span.End(nil)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestManyAttributesAreBounded(t *testing.T) {
	t.Parallel()
	sink := &kept{}
	span := New(Config{Sampler: Sampler{Ratio: 1}, Sink: sink}).Begin(new(Scope), request(t.Context(), nil), nil, true, "x")
	for range 1000 {
		span.SetNumber("n", 1)
	}
	span.End(nil)
	if n := len(sink.took[0].Attributes); n != maxAttributes || slices.Contains(sink.took[0].Attributes, Attribute{}) {
		t.Errorf("%d attributes", n)
	}
}
