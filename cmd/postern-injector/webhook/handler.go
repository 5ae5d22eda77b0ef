package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"postern/cmd/postern-injector/inject"
)

const (
	maxBody  = 8 << 20  // an API server takes 3 MiB of an object (row 83 of peers.md), and a review may hold it twice
	maxDrain = 64 << 20 // of a body that is too large, so that its connection can be kept

	decisionTime = 10 * time.Second // at most; API servers say in the query how long they wait
)

// Inject computes the patch of one pod; see [inject.Inject].
type Inject func(pod []byte, req inject.Request, s *inject.Settings) (inject.Result, error)

// Config is what a [Handler] is made of. All of it is needed.
type Config struct {
	Inject   Inject
	Settings func() *inject.Settings // nil: not loaded yet
	Defaults func(ctx context.Context, namespace string) (map[string]string, error)
	Event    func(Happening) // never waits
	Metrics  *Metrics
	Log      *slog.Logger
}

// Handler serves POST /inject/pod, /inject/namespace and /inject/required.
type Handler struct {
	cfg  Config
	gate *gate
	mux  *http.ServeMux
}

// NewHandler makes a handler.
func NewHandler(cfg Config) *Handler {
	h := &Handler{cfg: cfg, gate: newGate(), mux: http.NewServeMux()}
	for _, asked := range []inject.Asked{inject.ByPod, inject.ByNamespace, inject.ByRequired} {
		h.mux.HandleFunc("POST /inject/"+string(asked), func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, asked) })
	}
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.mux.ServeHTTP(w, r)
}

// serve answers one review, whatever happens: a panic is an answer of 500 too.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, asked inject.Asked) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), patience(r.URL.Query()))
	defer cancel()
	d := &decision{asked: asked}
	answer, trouble := h.answer(ctx, w, r, d)
	if trouble != nil {
		d.result, d.reason = resultError, trouble.code
	}
	h.cfg.Metrics.decided(d, time.Since(begin))
	d.log(ctx, h.cfg.Log, trouble)
	if trouble != nil {
		http.Error(w, trouble.text, trouble.status)
		return
	}
	if happened, ok := d.happening(); ok {
		h.cfg.Event(happened)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) //nolint:gosec // G705: JSON, by its type and nosniff
}

// answer is the whole AdmissionReview to send, or why there is none.
func (h *Handler) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, d *decision) (text []byte, trouble *problem) {
	defer func() {
		if p := recover(); p != nil {
			h.cfg.Metrics.panicked()
			h.cfg.Log.ErrorContext(ctx, "panic", "uid", d.uid, "panic", panicText(p), "stack", string(debug.Stack()))
			text, trouble = nil, internal(nil)
			trouble.code = "panic"
		}
	}()
	body, trouble := h.read(ctx, w, r)
	if trouble != nil {
		return nil, trouble
	}
	defer body.release()
	req, trouble := parseReview(body.text)
	if trouble != nil {
		return nil, trouble
	}
	d.of(req)
	resp, trouble := h.decide(ctx, req, d)
	if trouble != nil {
		return nil, trouble
	}
	resp.UID = req.UID
	text, err := json.Marshal(review{APIVersion: reviewVersion, Kind: reviewKind, Response: resp})
	if err != nil {
		return nil, internal(err)
	}
	return text, nil
}

// panicText is what a panic says unless it may be made of the pod: only errors of the runtime are not.
func panicText(p any) string {
	if err, ok := p.(interface {
		error
		RuntimeError()
	}); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

func internal(cause error) *problem {
	return &problem{http.StatusInternalServerError, "internal", "internal error; the log of postern-injector says more", cause}
}

// patience is how long the API server waits, by the parameter that it sends.
func patience(query url.Values) time.Duration {
	if d, err := time.ParseDuration(query.Get("timeout")); err == nil && d > 0 && d < decisionTime {
		return d
	}
	return decisionTime
}

// heldBody is a body, and the room that it takes.
type heldBody struct {
	text    []byte
	release func()
}

// read takes the body if it is of the right kind and size, and there is room for it.
func (h *Handler) read(ctx context.Context, w http.ResponseWriter, r *http.Request) (heldBody, *problem) {
	if types := r.Header.Values("Content-Type"); len(types) != 1 || !isJSON(types[0]) {
		return heldBody{}, &problem{http.StatusUnsupportedMediaType, "content_type", "want Content-Type: application/json", nil}
	}
	if r.Header.Get("Content-Encoding") != "" {
		return heldBody{}, &problem{http.StatusUnsupportedMediaType, "content_type", "want no Content-Encoding", nil}
	}
	if r.ContentLength > maxBody {
		drain(w, r.Body)
		return heldBody{}, errTooLarge
	}
	release, ok := h.gate.enter(ctx, r.ContentLength)
	if !ok {
		return heldBody{}, errBusy
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var trouble *problem
	switch {
	case err != nil:
		trouble = &problem{http.StatusBadRequest, "body_cut_off", "the body did not arrive whole", nil}
	case len(text) > maxBody:
		drain(w, r.Body)
		trouble = errTooLarge
	case len(text) == 0:
		trouble = errEmptyBody
	}
	if trouble != nil {
		release()
		return heldBody{}, trouble
	}
	return heldBody{text, release}, nil
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// drain reads the rest of a body that is too large: the connection could not be used again otherwise. Of one without end it is closed.
func drain(w http.ResponseWriter, body io.Reader) {
	if n, err := io.CopyN(io.Discard, body, maxDrain); err == nil && n == maxDrain {
		w.Header().Set("Connection", "close")
	}
}

// oneLine keeps a text from being more than a line of a log, a message or a header.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
