package demoapp

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// Config is what the demo tells the app about the world around it. None of it is needed for knowing the caller.
type Config struct {
	IdPBase   string           // address of the test provider, for a link; empty for none
	OwnPrefix string           // where Postern's own endpoints are; "/oauth2" if empty
	Trier     Trier            // makes the calls of the page /try; nil for no such page
	OnBehalf  *OnBehalf        // what the page /onbehalf calls, and how; nil for no such page
	Now       func() time.Time // time.Now if nil
}

// App is the web app.
type App struct {
	cfg       Config
	templates *template.Template
	mux       *http.ServeMux
	client    *http.Client // for calls to APIs, and to the app's own Postern
}

// New makes the app. An error means that the program was built from a broken template.
func New(cfg Config) (*App, error) {
	if cfg.OwnPrefix == "" {
		cfg.OwnPrefix = "/oauth2"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	templates, err := template.ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates of the demo app: %w", err)
	}
	a := &App{cfg: cfg, templates: templates, mux: http.NewServeMux(), client: &http.Client{
		Transport:     &http.Transport{MaxIdleConns: 4, IdleConnTimeout: 10 * time.Second}, // and no web proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	a.mux.HandleFunc("GET /{$}", a.home)
	a.mux.HandleFunc("GET /cases/{id...}", a.home)
	a.mux.HandleFunc("/whoami", whoami)
	a.mux.HandleFunc("GET /stream", a.stream)
	a.mux.Handle("GET /echo", echo())
	a.mux.Handle("GET /static/", http.FileServerFS(staticFiles))
	a.mux.HandleFunc("/", a.notFound)
	if cfg.Trier != nil {
		a.mux.HandleFunc("GET /try", a.try)
	}
	if cfg.OnBehalf != nil {
		a.mux.HandleFunc("GET /onbehalf", a.onBehalf)
	}
	return a, nil
}

// ServeHTTP implements [http.Handler].
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	a.mux.ServeHTTP(w, r)
}

// view is what the templates see.
type view struct {
	Title   string
	Caller  caller
	Token   *token
	Request request
	Case    string // the {id} of /cases/{id}; "" on the front page
	Cookies []string

	Own, Login, Logout, Switch string // addresses of Postern
	IdPBase, Origin            string
	Trier                      bool // there is a page /try
	CallsAPIs                  bool // there is a page /onbehalf
}

// request is the address as it arrived here, for the proof that a deep link survived the login.
type request struct {
	Method, Path, RawQuery string
	Params                 []param
}

type param struct{ Name, Raw, Value string }

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	a.render(w, http.StatusOK, "page.html", a.view(r))
}

func (a *App) notFound(w http.ResponseWriter, r *http.Request) {
	v := a.view(r)
	v.Title = "Nothing here"
	a.render(w, http.StatusNotFound, "notfound.html", v)
}

func (a *App) view(r *http.Request) view {
	now := a.cfg.Now()
	v := view{
		Title: "Who is calling?", Caller: readCaller(r.Header, now), Token: readToken(r.Header.Get("Authorization"), now),
		Request: readRequest(r), Case: r.PathValue("id"),
		Own: a.cfg.OwnPrefix, IdPBase: a.cfg.IdPBase, Origin: "http://" + r.Host,
		Trier: a.cfg.Trier != nil, CallsAPIs: a.cfg.OnBehalf != nil,
	}
	if v.Case != "" {
		v.Title = "Case " + v.Case
	}
	if r.Header.Get("X-Forwarded-Proto") == "https" {
		v.Origin = "https://" + r.Host
	}
	here := url.QueryEscape(r.URL.RequestURI())
	v.Login = v.Own + "/login?redirect=" + here
	v.Switch = v.Own + "/login?prompt=select_account&redirect=" + here
	v.Logout = v.Own + "/logout"
	for _, cookie := range r.Cookies() {
		v.Cookies = append(v.Cookies, cookie.Name)
	}
	return v
}

func (a *App) render(w http.ResponseWriter, status int, name string, v any) {
	var body bytes.Buffer
	if err := a.templates.ExecuteTemplate(&body, name, v); err != nil {
		http.Error(w, "the demo app could not make this page", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // it names a person
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that went away harms nobody
}
