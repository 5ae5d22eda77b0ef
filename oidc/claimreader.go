package oidc

import (
	"slices"
	"strings"
)

// claimReader reads claims one after another and keeps the first error. The empty name is no claim: it reads as absent.
type claimReader struct {
	members members
	err     error
}

func (r *claimReader) decode(name string, target any) {
	if name != "" {
		r.keep(r.members.decode(name, target))
	}
}

func (r *claimReader) keep(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *claimReader) has(name string) bool { return r.members.has(name) }

func (r *claimReader) overage() bool { return r.members.overage() }

func (r *claimReader) text(name string) string {
	if name == "" {
		return ""
	}
	text, err := r.members.text(name)
	r.keep(err)
	return text
}

// list reads one text as a list of one. Nobody is in a group without a name.
func (r *claimReader) list(name string) []string {
	var all stringOrList
	r.decode(name, &all)
	if all = slices.DeleteFunc(all, func(one string) bool { return one == "" }); len(all) == 0 {
		return nil
	}
	return all
}

// words reads scopes: a text of words (RFC 6749 §3.3), or a list of such texts.
func (r *claimReader) words(name string) []string {
	var words []string
	for _, one := range r.list(name) {
		words = append(words, strings.Fields(one)...)
	}
	return words
}

// verifiedEmail is an address that the provider vouches for (S-19; nOAuth).
func (r *claimReader) verifiedEmail(name string) string {
	var verified, edov looseBool
	r.decode("email_verified", &verified)
	r.decode("xms_edov", &edov)
	if !verified.yes() && !edov.yes() {
		return ""
	}
	return r.text(name)
}
