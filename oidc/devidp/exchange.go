package devidp

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxQuery = 16 << 10 // bytes of a query string
	maxBody  = 64 << 10 // bytes of a request body
)

// exchange is one request to an issuer, and its answer.
type exchange struct {
	site
	w http.ResponseWriter
	r *http.Request
}

// allow answers 405 unless the method is one of these; GET covers HEAD.
func (x *exchange) allow(methods ...string) bool {
	for _, m := range methods {
		if x.r.Method == m || (m == http.MethodGet && x.r.Method == http.MethodHead) {
			return true
		}
	}
	x.w.Header().Set("Allow", strings.Join(methods, ", "))
	x.message(http.StatusMethodNotAllowed, "Wrong method", "This address takes "+strings.Join(methods, " and ")+" only.", "")
	return false
}

// params are the parameters of a request, each at most once (RFC 6749 §3.1 and §3.2). An empty one counts as absent.
type params struct {
	values  url.Values
	doubled map[string]bool
}

func (q params) get(name string) string { return q.values.Get(name) }

// single says that none of these came twice; without names, that nothing did.
func (q params) single(names ...string) bool {
	if len(names) == 0 {
		return len(q.doubled) == 0
	}
	for _, name := range names {
		if q.doubled[name] {
			return false
		}
	}
	return true
}

// query reads the parameters of a GET from the query and those of a POST from the body, never both.
func (x *exchange) query() (params, *oauthError) {
	if x.r.Method == http.MethodPost {
		return x.form()
	}
	if len(x.r.URL.RawQuery) > maxQuery {
		return params{}, refuse(9002313).because("The query is too long.")
	}
	return parseParams(x.r.URL.RawQuery)
}

// form reads an application/x-www-form-urlencoded body.
func (x *exchange) form() (params, *oauthError) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return params{}, refuse(9002313).because("The body must be application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	if err != nil {
		return params{}, refuse(9002313).because("The body is too long or was cut off.")
	}
	return parseParams(string(body))
}

func parseParams(raw string) (params, *oauthError) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return params{}, refuse(9002313)
	}
	q := params{values, map[string]bool{}}
	for name, all := range values {
		q.doubled[name] = len(all) > 1
		for _, value := range all {
			if !utf8.ValidString(value) || (name != "claims" && strings.ContainsFunc(value, unicode.IsControl)) {
				return params{}, refuse(9002313).because("A parameter holds control characters or is not UTF-8.")
			}
		}
		if !q.doubled[name] {
			delete(q.doubled, name)
		}
	}
	return q, nil
}

func (x *exchange) json(status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil { // a test's hook put something in that JSON cannot say
		x.idp.cfg.Log.Error("test provider: encode answer", "error", err)
		status, raw = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	x.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(raw)
}

// fail writes an error of the token endpoint and its kind (RFC 6749 §5.2), at Entra ID in its shape.
func (x *exchange) fail(e *oauthError) {
	body := map[string]any{"error": e.code, "error_description": x.describe(e)}
	if x.at.numbered {
		trace, correlation, at := x.idp.guid(), x.idp.guid(), x.now.UTC().Format("2006-01-02 15:04:05Z")
		body["error_description"] = x.describe(e) + " Trace ID: " + trace + " Correlation ID: " + correlation + " Timestamp: " + at
		body["error_codes"], body["timestamp"] = []int{e.aadsts}, at
		body["trace_id"], body["correlation_id"] = trace, correlation
	}
	if e.suberror != "" {
		body["suberror"] = e.suberror
	}
	if e.claims != "" {
		body["claims"] = e.claims
	}
	switch {
	case e.status == http.StatusUnauthorized && x.r.Header.Get("Authorization") != "":
		x.w.Header().Set("WWW-Authenticate", `Basic realm="token"`) // RFC 6749 §5.2
	case e.status == http.StatusServiceUnavailable || e.status == http.StatusTooManyRequests:
		x.w.Header().Set("Retry-After", "1")
	}
	x.json(e.status, body)
}

// redirect sends the browser somewhere with these parameters.
func (x *exchange) redirect(to string, add url.Values) {
	status := http.StatusFound
	if x.r.Method == http.MethodPost {
		status = http.StatusSeeOther // the form's fields stay here (RFC 9700 §4.12)
	}
	x.w.Header().Set("Location", withQuery(to, add))
	x.w.WriteHeader(status)
}

// withQuery adds parameters to an address and keeps the query that it has (RFC 6749 §3.1.2).
func withQuery(to string, add url.Values) string {
	switch {
	case len(add) == 0:
		return to
	case !strings.Contains(to, "?"):
		to += "?"
	case !strings.HasSuffix(to, "?") && !strings.HasSuffix(to, "&"):
		to += "&"
	}
	return to + add.Encode()
}
