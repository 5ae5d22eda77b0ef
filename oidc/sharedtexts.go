package oidc

import (
	"slices"
	"sync/atomic"
	"unique"
)

// sharedTexts makes one text of those that many callers have in common and that decisions are made on. Thousands of tokens are remembered, of whom
// each is in no processor's cache when it comes again: what they share is.
type sharedTexts struct{ roles, scopes, audience lastList }

func (s *sharedTexts) share(c *Caller) {
	c.ClientID, c.Client = shareText(c.ClientID), shareText(c.Client)
	c.Roles, c.Scopes, c.Audience = s.roles.share(c.Roles), s.scopes.share(c.Scopes), s.audience.share(c.Audience)
}

func shareText(text string) string { return unique.Make(text).Value() }

// lastList is the list that somebody had last: most often the next one has the same.
type lastList struct{ kept atomic.Pointer[[]string] }

func (l *lastList) share(list []string) []string {
	if len(list) == 0 {
		return list
	}
	if kept := l.kept.Load(); kept != nil && slices.Equal(*kept, list) {
		return *kept
	}
	l.kept.Store(&list)
	return list
}
