package docs

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"postern/cmd/postern/e2e"
)

// window is a browser, or what does its work here where there is none.
type window interface {
	open(url string)
	press(label string) error
	text() string
}

func openWindow(t *testing.T) window {
	t.Helper()
	if os.Getenv(driverVariable) == "client" {
		return &forms{t: t, client: e2e.NewClient(t)}
	}
	return chromium{e2e.Browser(t)}
}

// step is one thing that a page says to do in a browser, or that is to be seen there.
type step struct{ verb, what string }

var (
	stepPattern = regexp.MustCompile("(?i)\\b(open|press|see) (?:<(http[^>]+)>|\\*\\*([^*]+)\\*\\*|`([^`]+)`)")
	markup      = regexp.MustCompile("<http[^>]+>|\\*\\*[^*]+\\*\\*|`[^`]+`")
)

// steps reads them. Whatever is marked up as an address, a label or a text must be one, so that nothing is passed over.
func steps(t *testing.T, b block) (all []step) {
	t.Helper()
	for _, m := range stepPattern.FindAllStringSubmatch(b.text, -1) {
		all = append(all, step{strings.ToLower(m[1]), m[2] + m[3] + m[4]})
	}
	if marked := len(markup.FindAllString(b.text, -1)); len(all) == 0 || len(all) != marked {
		t.Fatalf("%s: %d of its %d addresses, labels and texts are steps: write open <URL>, press **label**, see `text`", b, len(all), marked)
	}
	return all
}

func (s step) do(t *testing.T, b block, w window) {
	t.Helper()
	switch s.verb {
	case "open":
		w.open(s.what)
	case "press":
		if err := w.press(s.what); err != nil {
			t.Fatalf("%s: %v; the page reads\n%s", b, err, w.text())
		}
	default:
		e2e.Eventually(t, b.String(), func() error {
			for line := range strings.Lines(w.text()) {
				if matches("…"+s.what+"…", line) {
					return nil
				}
			}
			return fmt.Errorf("%q is not to be seen in\n%s", s.what, w.text())
		})
	}
}

type chromium struct{ tab *e2e.Tab }

func (c chromium) open(url string) { c.tab.Navigate(url) }
func (c chromium) text() string    { return c.tab.Text("body") }

func (c chromium) press(label string) error {
	const mark = "data-to-press"
	found := e2e.Eval[int](c.tab, `(() => { const all = [...document.querySelectorAll("button, a, input[type=submit]")].filter(e =>
		(e.innerText || e.value || "").includes(`+strconv.Quote(label)+`)); all[0]?.setAttribute("`+mark+`", ""); return all.length })()`)
	if found == 0 {
		return fmt.Errorf("there is nothing to press that says %q", label)
	}
	c.tab.Press("[" + mark + "]")
	return nil
}

// forms opens pages and submits their forms, as far as pages without scripts go.
type forms struct {
	t      *testing.T
	client *e2e.Client
	page   *e2e.Response
}

func (f *forms) open(url string) { f.page = f.client.Follow(f.client.Navigate(url)) }

func (f *forms) text() string {
	doc, err := html.Parse(strings.NewReader(f.page.Body))
	if err != nil {
		return err.Error()
	}
	return inner(doc)
}

func (f *forms) press(label string) error {
	doc, err := html.Parse(strings.NewReader(f.page.Body))
	if err != nil {
		return err
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "button" && n.Data != "a" || !strings.Contains(inner(n), label) {
			continue
		}
		attributes := map[string]string{}
		for _, a := range n.Attr {
			attributes[a.Key] = a.Val
		}
		if n.Data == "a" {
			to, err := f.page.Request.URL.Parse(attributes["href"])
			if err != nil {
				return err
			}
			f.open(to.String())
			return nil
		}
		f.page = f.client.Follow(f.client.Submit(f.page, map[string]string{attributes["name"]: attributes["value"]}))
		if f.page.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("status %d", f.page.StatusCode)
		}
		return nil
	}
	return fmt.Errorf("there is nothing to press that says %q", label)
}

// inner is the text of an element, without that of scripts and styles.
func inner(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && (d.Parent == nil || d.Parent.Data != "style" && d.Parent.Data != "script") {
			text.WriteString(d.Data)
		}
	}
	return text.String()
}
