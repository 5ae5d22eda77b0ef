package policy

import (
	"regexp"
	"sync"
)

// form is a regular expression that is compiled when a text is first compared with it. Many an app has no policy,
// and most policies few kinds of text.
type form struct {
	expression string
	compile    sync.Once
	compiled   *regexp.Regexp
}

func newForm(expression string) *form { return &form{expression: expression} }

func (f *form) regexp() *regexp.Regexp {
	f.compile.Do(func() { f.compiled = regexp.MustCompile(f.expression) })
	return f.compiled
}

// MatchString is that of [regexp.Regexp].
func (f *form) MatchString(text string) bool { return f.regexp().MatchString(text) }
