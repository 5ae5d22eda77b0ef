package devidp

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed templates
var templates embed.FS

const (
	pageLogin   = "login.html"
	pageMessage = "message.html"
	pageFront   = "front.html"
	pageLogout  = "logout.html"
)

// pages are the parsed templates, and the style that all of them carry inline.
type pages struct {
	byName    map[string]*template.Template
	style     template.CSS
	styleHash string // for the policy
}

func newPages() (*pages, error) {
	css, err := templates.ReadFile("templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("read style: %w", err)
	}
	sum := sha256.Sum256(css)
	set := &pages{
		byName: map[string]*template.Template{}, style: template.CSS(css), //nolint:gosec // embedded, nothing of a request
		styleHash: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}
	for _, name := range []string{pageLogin, pageMessage, pageFront, pageLogout} {
		set.byName[name], err = template.ParseFS(templates, "templates/layout.html", "templates/"+name)
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
	}
	return set, nil
}

// policy is what a page may do beyond showing text.
type policy struct {
	forms  []string // origins that its form may lead to, beside the provider
	frames []string // origins that it may frame
}

func (c policy) String(styleHash string) string {
	frames := "'none'"
	if len(c.frames) > 0 {
		frames = strings.Join(distinct(c.frames), " ")
	}
	forms := "'none'"
	if c.forms != nil {
		forms = strings.Join(append([]string{"'self'"}, distinct(c.forms)...), " ")
	}
	return "default-src 'none'; style-src " + styleHash + "; form-action " + forms + "; frame-src " + frames +
		"; base-uri 'none'; frame-ancestors 'none'"
}

func distinct(all []string) []string {
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

func (x *exchange) page(status int, name string, view any, may policy) {
	var out bytes.Buffer
	set := x.idp.pages
	err := set.byName[name].ExecuteTemplate(&out, "layout.html", map[string]any{"Style": set.style, "View": view})
	if err != nil {
		x.idp.cfg.Log.Error("test provider: render page", "page", name, "error", err)
		http.Error(x.w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", may.String(set.styleHash))
	h.Set("X-Frame-Options", "DENY")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(out.Bytes())
}

type messageView struct{ Title, Text, Code string }

// message shows a page with words of ours. Nothing of a request goes into it.
func (x *exchange) message(status int, title, text, code string) {
	x.page(status, pageMessage, messageView{title, text, code}, policy{})
}
