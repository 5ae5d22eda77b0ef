package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func newPages(tb testing.TB) *Pages {
	tb.Helper()
	p, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func get(p *Pages, method, acceptLanguage string, page Page) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/asked/for?secret=hostile", nil)
	r.Header.Set("Accept-Language", acceptLanguage)
	w := httptest.NewRecorder()
	p.HTML(w, r, page)
	return w
}

// full is a page with everything that a page can have.
func full(kind Kind) Page {
	return Page{
		Kind: kind, RequestID: "0123456789abcdef0123456789abcdef", RetryAfter: 30,
		Primary: &Link{Href: "/oauth2/login"}, Secondary: &Link{Href: "https://app.example.com/"}, Form: &Form{Action: "/oauth2/logout"},
	}
}

func TestEveryPageIsWholeSmallAndHarmless(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`)
	for kind := range kinds {
		for _, lang := range []language{english, bokmål, nynorsk} {
			t.Run(kind.String()+"/"+string(lang), func(t *testing.T) {
				t.Parallel()
				w := get(p, http.MethodGet, string(lang), full(kind))
				body := w.Body.String()
				if w.Code != kind.traits().status {
					t.Errorf("status %d, want %d", w.Code, kind.traits().status)
				}
				if len(body) >= 8<<10 {
					t.Errorf("%d bytes, want less than 8 KiB", len(body))
				}
				sum := sha256.Sum256([]byte(style.FindStringSubmatch(body)[1]))
				if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(w.Header().Get("Content-Security-Policy"), "'sha256-"+hash+"'") {
					t.Error("the policy does not allow the style sheet that the page carries")
				}
				for _, never := range []string{"<script", "style=", "src=", "ZgotmplZ", "{{", "{n}", "secret", "hostile", "/asked"} {
					if strings.Contains(body, never) {
						t.Errorf("page holds %q", never)
					}
				}
				tags := elements(t, body)
				want := map[string]int{"html": 1, "main": 1, "h1": 1, "title": 1, "footer": 1, "form": 1, "button": 1, "a": 2, "svg": 1}
				if kind.traits().primary == tryAgain {
					want["a"] = 1
				}
				for tag, count := range want {
					if tags[tag] != count {
						t.Errorf("%d <%s>, want %d", tags[tag], tag, count)
					}
				}
				if !strings.Contains(body, `<html lang="`+string(lang)+`">`) || w.Header().Get("Content-Language") != string(lang) {
					t.Errorf("language is not declared as %s", lang)
				}
			})
		}
	}
}

// elements counts the elements that a browser would see, and fails on unbalanced ones.
func elements(t *testing.T, body string) map[string]int {
	t.Helper()
	counts, open := map[string]int{}, []string{}
	void := map[string]bool{"meta": true}
	z := html.NewTokenizer(strings.NewReader(body))
	for {
		switch z.Next() { //nolint:exhaustive // the other tokens open and close nothing
		case html.ErrorToken:
			if len(open) != 0 {
				t.Errorf("not closed: %v", open)
			}
			return counts
		case html.StartTagToken:
			name, _ := z.TagName()
			counts[string(name)]++
			if !void[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> closes %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

func TestHTMLSetsTheHeadersOfAHarmlessPage(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	w := get(p, http.MethodGet, "nn", Page{Kind: StoreTrouble, RetryAfter: 5})
	want := map[string]string{
		"Content-Type":               "text/html; charset=utf-8",
		"Content-Language":           "nn",
		"Vary":                       "Accept-Language",
		"Cache-Control":              "no-store",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
		"X-Frame-Options":            "DENY",
		"Retry-After":                "5",
		"Content-Security-Policy": "default-src 'none'; style-src " + p.styleSrc +
			"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
	got := map[string]string{}
	for name := range want {
		got[name] = w.Header().Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(w.Body.String(), "5 sekund") {
		t.Error("the page does not say when to try again")
	}
}

func TestHTMLWithFormAllowsTheWayThatSubmittingTakes(t *testing.T) {
	t.Parallel()
	form := &Form{Action: "/oauth2/logout", Redirects: []string{
		"http://idp.localhost:8081", "http://x; script-src *", "javascript:", "http://", "https://elsewhere.example",
	}}
	w := get(newPages(t), http.MethodGet, "en", Page{Kind: ConfirmLogout, Form: form})
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "; form-action 'self' https: http://idp.localhost:8081; base-uri") {
		t.Errorf("policy %q", csp)
	}
	if got := w.Header().Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy %q would make the form's Origin null", got)
	}
}

func TestHeadHasTheHeadersOfGetAndNoBody(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	wanted, got := get(p, http.MethodGet, "nb", full(NotFound)), get(p, http.MethodHead, "nb", full(NotFound))
	if diff := cmp.Diff(wanted.Header(), got.Header()); diff != "" || got.Code != wanted.Code {
		t.Errorf("HEAD differs: %d\n%s", got.Code, diff)
	}
	if got.Body.Len() != 0 {
		t.Errorf("HEAD has a body of %d bytes", got.Body.Len())
	}
}

func TestStatusOfThePageWins(t *testing.T) {
	t.Parallel()
	if w := get(newPages(t), http.MethodGet, "", Page{Kind: SignedOut, Status: http.StatusGone}); w.Code != http.StatusGone {
		t.Errorf("status %d", w.Code)
	}
}

// Other pages of this trade showed a provider's error text or the request itself; here the id is the only thing that comes with a request.
func TestAdvisoryGO2026_4861NothingOfTheRequestIsShown(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for _, id := range []string{`"><script>alert(1)</script>`, "a b", "æ", strings.Repeat("a", 65), "a\nb", "{{.}}", "a/b", "a@b"} {
		w := get(p, http.MethodGet, "en", Page{Kind: Internal, RequestID: id})
		if strings.Contains(w.Body.String(), "<footer") {
			t.Errorf("request id %q is shown", id)
		}
	}
	w := get(p, http.MethodGet, "en", Page{Kind: Internal, RequestID: "aZ0._-"})
	if !strings.Contains(w.Body.String(), "<code>aZ0._-</code>") {
		t.Error("a good request id is not shown")
	}
}

func TestAdvisoryCVE2023_52430LinksLeadNowhereElse(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for href, shown := range map[string]bool{
		"": true, "/": true, "/oauth2/login?redirect=%2Fcases%2F42%3Fx%3D%22": true, "https://app.example.com/": true, "http://app.localhost:8080": true,
		"//evil.example": false, `/\evil.example`: false, "/\t/evil.example": false, "javascript:alert(1)": false, "data:text/html,x": false,
		"https://user@evil.example": false, "https:evil.example": false, "relative": false, "/a\nb": false, `https://app.example\@evil`: false,
	} {
		body := get(p, http.MethodGet, "en", Page{Kind: NotFound, Primary: &Link{Href: href}}).Body.String()
		if got := strings.Contains(body, "<a "); got != shown {
			t.Errorf("link to %q shown: %v, want %v", href, got, shown)
		}
		if strings.Contains(body, "ZgotmplZ") {
			t.Errorf("link to %q needed the template's last resort", href)
		}
		form := get(p, http.MethodGet, "en", Page{Kind: ConfirmLogout, Form: &Form{Action: href}}).Body.String()
		if got, want := strings.Contains(form, "<form "), shown && strings.HasPrefix(href, "/"); got != want {
			t.Errorf("form to %q shown: %v, want %v", href, got, want)
		}
	}
	w := get(p, http.MethodGet, "en", Page{Kind: NotFound, Primary: &Link{Href: `/a?b="><script>`}})
	if strings.Contains(w.Body.String(), "<script") {
		t.Error("a link's address breaks out of its attribute")
	}
}

func TestButtonIsTheMainWayWhereThereIsOne(t *testing.T) {
	t.Parallel()
	body := get(newPages(t), http.MethodGet, "en", full(ConfirmLogout)).Body.String()
	if strings.Count(body, `class="main"`) != 1 || !strings.Contains(body, `<button class="main">Log out</button>`) {
		t.Error("the button is not the one main way")
	}
}

func TestButtonTakesThePlaceOfTryAgain(t *testing.T) {
	t.Parallel()
	body := get(newPages(t), http.MethodGet, "en", full(LogoutFailed)).Body.String()
	if strings.Contains(body, ">Try again<") || !strings.Contains(body, ">Try to log out again<") || !strings.Contains(body, ">Go to the front page<") {
		t.Errorf("ways on:\n%s", body)
	}
}

// Nothing gets better by waiting where another account or other settings are needed; programs are told all the same.
func TestWaitingIsOnlyAdvisedWhereItHelps(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for kind, want := range map[Kind]bool{
		StoreTrouble: true, ProviderTrouble: true, Starting: true, TooManyLogins: true, LogoutFailed: true, AppSendsBack: false, CookiesMissing: false,
	} {
		w := get(p, http.MethodGet, "en", full(kind))
		if got := strings.Contains(w.Body.String(), "in 30 seconds"); got != want || w.Header().Get("Retry-After") != "30" {
			t.Errorf("%s: the page advises it: %v, want %v; Retry-After %q", kind, got, want, w.Header().Get("Retry-After"))
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for name, page := range map[string]Page{
		"login_required": {Kind: LoginRequired, RequestID: "4bf92f3577b34da6", Primary: &Link{Href: "/oauth2/login?redirect=%2F"}, Secondary: &Link{Href: "/"}},
		"confirm_logout": {Kind: ConfirmLogout, Form: &Form{Action: "/oauth2/logout"}, Primary: &Link{Href: "/"}},
		"store_trouble":  {Kind: StoreTrouble, RequestID: "4bf92f3577b34da6", RetryAfter: 120, Primary: &Link{}},
	} {
		for _, lang := range []string{"en", "nn"} {
			file := filepath.Join("testdata", name+"."+lang+".html")
			got := get(p, http.MethodGet, lang, page).Body.String()
			got = strings.Replace(got, pageCSS, "page.css", 1)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (rewrite with -update):\n%s", file, diff)
			}
		}
	}
}

func BenchmarkHTML(b *testing.B) {
	p := newPages(b)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Language", "nb-NO,nb;q=0.9,no;q=0.8,nn;q=0.7,en-US;q=0.6,en;q=0.5")
	page := full(StoreTrouble)
	b.ReportAllocs()
	for b.Loop() {
		p.HTML(httptest.NewRecorder(), r, page)
	}
}
