package e2e

import (
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// Submit sends the first form of a page, with the given fields filled in over those that the page holds, and returns the answer to it. Fields that
// the form does not have are sent too: that is how a named button is pressed.
func (c *Client) Submit(page *Response, fields map[string]string) *Response {
	c.t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	if err != nil {
		c.t.Fatal(err)
	}
	form := find(doc, func(n *html.Node) bool { return n.Data == "form" })
	if form == nil {
		c.t.Fatalf("no form on %s (status %d): %.300s", page.Request.URL.Redacted(), page.StatusCode, page.Body)
	}
	values := url.Values{}
	find(form, func(n *html.Node) bool {
		if n.Data == "input" && attr(n, "name") != "" {
			values.Set(attr(n, "name"), attr(n, "value"))
		}
		return false
	})
	for name, value := range fields {
		values.Set(name, value)
	}
	action, err := page.Request.URL.Parse(attr(form, "action"))
	if err != nil {
		c.t.Fatal(err)
	}
	if strings.EqualFold(attr(form, "method"), http.MethodPost) {
		return c.PostForm(action.String(), values, "Accept", "text/html", "Origin", action.Scheme+"://"+action.Host,
			"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin")
	}
	action.RawQuery = values.Encode()
	return c.Navigate(action.String())
}

// find is the first element, in document order, that fits.
func find(n *html.Node, fits func(*html.Node) bool) *html.Node {
	if n.Type == html.ElementNode && fits(n) {
		return n
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		if hit := find(child, fits); hit != nil {
			return hit
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
