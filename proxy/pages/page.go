package pages

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the template and the style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// Page is one answer to a person.
type Page struct {
	Kind      Kind
	Status    int    // HTTP status; 0 means the kind's own
	RequestID string // shown if it matches [A-Za-z0-9._-]{1,64}

	Primary, Secondary *Link // ways on; nil for none. Their texts come with the kind
	Form               *Form // a button; nil for none

	RetryAfter int // seconds; sets Retry-After, and a sentence that says so where to try again is the way on. 0 for none
}

// Link leads to a path of this origin ("/…") or to a configured absolute http(s) URL; "" leads to this very address again, without naming
// it. Any other address is left out.
type Link struct{ Href string }

// Form is a button that posts nothing to a path of this origin; another address is left out. It takes the place of a link to try again. Redirects are the origins that the answer may
// redirect to and that are not https, such as a test provider on localhost ("http://idp.localhost:8081").
type Form struct {
	Action    string
	Redirects []string
}

// Pages writes pages. It is safe for concurrent use.
type Pages struct {
	template *template.Template
	style    template.CSS
	styleSrc string // CSP source of the style sheet
	words    map[language]words
}

// New reads the embedded texts and template. An error means that the program was built from an incomplete text file.
func New() (*Pages, error) {
	parsed, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parse page template: %w", err)
	}
	digest := sha256.Sum256([]byte(pageCSS))
	p := &Pages{
		template: parsed,
		style:    template.CSS(pageCSS), //nolint:gosec // our own embedded file
		styleSrc: "'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'",
		words:    map[language]words{},
	}
	for _, lang := range []language{english, bokmål, nynorsk} {
		if p.words[lang], err = readWords(lang); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// view is what the template sees.
type view struct {
	Lang               language
	Style              template.CSS
	Open               bool
	Text               text
	Retry              string
	Primary, Secondary *viewLink
	Action, Button     string
	Reference, ID      string
}

type viewLink struct{ Href, Text string }

// HTML answers with the page in the language that the request prefers. A HEAD request gets the same headers and no body.
func (p *Pages) HTML(w http.ResponseWriter, r *http.Request, page Page) {
	traits := page.Kind.traits()
	lang := negotiate(r.Header.Values("Accept-Language"))
	words := p.words[lang]
	v := view{
		Lang: lang, Style: p.style, Open: traits.open, Text: words.Pages[traits.name],
		Primary:   way(page.Primary, words.Labels[traits.primary]),
		Secondary: way(page.Secondary, words.Labels[traits.secondary]),
		Reference: words.Reference, ID: cleanID(page.RequestID),
	}
	if page.RetryAfter > 0 && traits.primary == tryAgain { // where something else is to be done, waiting alone does not help
		v.Retry = words.retry(page.RetryAfter)
	}
	if page.Form != nil && localPath(page.Form.Action) {
		v.Action, v.Button = page.Form.Action, words.Labels[traits.button]
		if traits.primary == tryAgain { // that is what the button is for
			v.Primary = nil
		}
	}
	var body bytes.Buffer
	body.Grow(8 << 10)
	status := page.Status
	if status == 0 {
		status = traits.status
	}
	if err := p.template.Execute(&body, v); err != nil { // cannot happen with a checked template; a blank page is worse than a plain one
		body.Reset()
		body.WriteString(words.Pages[Internal.String()].Title)
		status = http.StatusInternalServerError
	}
	p.harden(w.Header(), page.Form)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", string(lang))
	w.Header().Add("Vary", "Accept-Language")
	finish(w, r.Method, status, page.RetryAfter, body.Bytes())
}

// harden sets the headers that keep a page harmless: it loads nothing, runs nothing, is framed by nobody and stored nowhere.
func (p *Pages) harden(h http.Header, form *Form) {
	formAction, referrer := "'self'", "no-referrer"
	if form != nil {
		// Browsers hold the redirects that follow a submission to form-action as well, and a logout goes on to the provider, whose own
		// redirects we do not know. Under no-referrer they would send "Origin: null", which our own cross-site checks refuse (S-17).
		formAction, referrer = formActions(form.Redirects), "same-origin"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+p.styleSrc+"; form-action "+formAction+
		"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", referrer)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}

func formActions(redirects []string) string {
	sources := "'self' https:"
	for _, origin := range redirects {
		if host, ok := strings.CutPrefix(origin, "http://"); ok && hostPort(host) {
			sources += " " + origin
		}
	}
	return sources
}

func way(link *Link, text string) *viewLink {
	if link == nil || !safeHref(link.Href) {
		return nil
	}
	return &viewLink{link.Href, text}
}

// finish sets what pages and JSON share and sends them.
func finish(w http.ResponseWriter, method string, status, retryAfter int, body []byte) {
	h := w.Header()
	if h.Get("Cache-Control") == "" { // own endpoints have said more
		h.Set("Cache-Control", "no-store")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(status)
	if method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away harms nobody
	}
}
