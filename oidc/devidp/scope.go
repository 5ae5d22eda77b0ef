package devidp

import (
	"slices"
	"strings"
)

// scopes is what a client asked for (RFC 6749 §3.3), sorted into OpenID words and permissions of one resource.
type scopes struct {
	openid   []string // of openid, profile, email, offline_access
	resource string   // client id of the API, "" for Graph
	wanted   []string // permissions there; ".default" for all
}

const (
	graphURL = "https://graph.microsoft.com"
	graphID  = "00000003-0000-0000-c000-000000000000"
)

func (s scopes) has(word string) bool { return slices.Contains(s.openid, word) }

// scopes understands api://<client id>/<permission>, the same with cluster.namespace.app or the client id alone, Graph's URL, and bare words, which are Graph's.
// A token is for one resource (Entra ID), so two of them are refused.
func (entraLogin) scopes(at site, raw string) (scopes, *oauthError) {
	var s scopes
	var resources []string
	for word := range strings.FieldsSeq(raw) {
		switch word {
		case "openid", "profile", "email", "offline_access":
			if !s.has(word) {
				s.openid = append(s.openid, word)
			}
			continue
		}
		resource, permission := "", word
		if at := strings.LastIndexByte(word, '/'); at >= 0 {
			resource, permission = word[:at], word[at+1:]
		}
		id, known := at.idp.resource(resource)
		switch {
		case permission == "" || strings.ContainsAny(word, "\"\\"):
			return s, refuse(70011)
		case !known:
			return s, refuse(500011)
		}
		if !slices.Contains(resources, id) {
			resources = append(resources, id)
		}
		s.resource, s.wanted = id, append(s.wanted, permission)
	}
	switch {
	case len(resources) > 1:
		return s, refuse(28000)
	case slices.Contains(s.wanted, ".default") && len(s.wanted) > 1:
		return s, refuse(70011).because("'.default' stands alone for its resource.")
	case len(s.openid) == 0 && len(s.wanted) == 0:
		return s, missing("scope")
	}
	return s, nil
}

func (p *IdP) resource(name string) (id string, known bool) {
	if name == "" || name == graphURL || name == graphURL+"/" {
		return "", true
	}
	api, known := p.clientThat(func(c *client) bool { return slices.Contains(c.uris(), strings.TrimSuffix(name, "/")) })
	if !known {
		return "", false
	}
	return api.ID, true
}

// granted is the permissions of scp: those of the resource that were asked for.
func (p *IdP) granted(s scopes) ([]string, *oauthError) {
	if s.resource == "" {
		words := append([]string{}, s.openid...)
		for _, word := range s.wanted {
			if word != ".default" {
				words = append(words, word)
			}
		}
		return append(slices.DeleteFunc(words, func(w string) bool { return w == "offline_access" }), "User.Read"), nil
	}
	api, ok := p.client(s.resource)
	if !ok {
		return nil, refuse(500011)
	}
	if slices.Contains(s.wanted, ".default") {
		return api.Scopes, nil
	}
	for _, word := range s.wanted {
		if !slices.Contains(api.Scopes, word) {
			return nil, refuse(65001)
		}
	}
	return s.wanted, nil
}

// qualified is the scope of the answer: permissions of an API carry its name.
func qualified(s scopes, scp []string) []string {
	if s.resource == "" {
		return scp
	}
	words := make([]string, 0, len(scp))
	for _, word := range scp {
		words = append(words, "api://"+s.resource+"/"+word)
	}
	return words
}

// within says whether these are no more than the others, as a refresh may ask for (RFC 6749 §6).
func (s scopes) within(all scopes) bool {
	subset := func(some, of []string) bool {
		return !slices.ContainsFunc(some, func(word string) bool { return !slices.Contains(of, word) })
	}
	if len(s.wanted) > 0 && s.resource != all.resource {
		return false
	}
	return subset(s.openid, all.openid) && (subset(s.wanted, all.wanted) || slices.Contains(all.wanted, ".default"))
}

func (s scopes) String() string {
	words := append([]string{}, s.openid...)
	prefix := ""
	if s.resource != "" {
		prefix = "api://" + s.resource + "/"
	}
	for _, word := range s.wanted {
		words = append(words, prefix+word)
	}
	return strings.Join(words, " ")
}
