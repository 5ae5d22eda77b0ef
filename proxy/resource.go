package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
)

// pathResource is the well-known path of the metadata that says how the app is to be called (RFC 9728 §3).
const pathResource = "/.well-known/oauth-protected-resource"

// resourceMetadata is the document (RFC 9728 §2).
type resourceMetadata struct {
	Resource             string   `json:"resource,omitempty"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
}

// resourceDocument writes the metadata of the app behind an ingress. Its address is that of the configuration; without an ingress (nil) there is
// none, because a Host header is anybody's text (S-35). What is empty is left out. issuers are those whose tokens are accepted, name is
// for people.
func resourceDocument(in *ingress, issuers, scopes []string, name string) []byte {
	document := resourceMetadata{AuthorizationServers: issuers, Scopes: scopes, BearerMethods: []string{"header"}, Name: name}
	if in != nil {
		document.Resource = in.url("")
	}
	encoded, _ := json.Marshal(document) // texts and lists of texts: there is nothing that could fail
	return encoded
}

// resourcePath says whether a request is for the metadata, and of which ingress; nil if there is none at all. It is asked for in three ways,
// compared as they came: at the root of the host; with the path of the ingress at the end, as RFC 9728 §3.1 has it; and below that
// path, which is all that a router by paths sends here.
//
// path is that of [rawPath]. Of several ingresses that fit, the one with the request's host is meant, else the one that a trusted peer says was asked
// for, else the one with the shortest path: the host chooses among what is configured and nothing else (S-13, S-35).
func resourcePath(path string, all ingresses, host, forwardedHost string) (in *ingress, ok bool) {
	if !strings.Contains(path, pathResource) {
		return nil, false
	}
	atRoot, best := path == pathResource, -1
	for _, candidate := range all {
		rank := 0
		if !atRoot && !isResourceOf(path, candidate) {
			continue
		}
		switch {
		case sameHost(host, candidate):
			rank = 2
		case forwardedHost != "" && sameHost(forwardedHost, candidate):
			rank = 1
		}
		if rank > best || rank == best && len(candidate.path) < len(in.path) {
			in, best = candidate, rank
		}
	}
	return in, atRoot || in != nil
}

func isResourceOf(path string, in *ingress) bool {
	if rest, ok := strings.CutPrefix(path, pathResource); ok && rest == in.path {
		return true
	}
	rest, ok := strings.CutSuffix(path, pathResource)
	return ok && rest == in.path
}

// resourceMetadataURL is the "resource_metadata" of a challenge (RFC 9728 §5.1), or "" for a request that came in by no ingress. It lies below the
// path of the ingress: the form of §3.1 may lead a router by paths to another app.
func resourceMetadataURL(in *ingress) string {
	if in == nil {
		return ""
	}
	return in.url(pathResource)
}

// serveResource answers GET, HEAD and OPTIONS alike. The document is public and the same for everybody, so that scripts of any origin may read it;
// clients add headers of their protocols, and none of them is read.
func serveResource(w http.ResponseWriter, document []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "*")
	cacheable(header)
	_, _ = w.Write(document)
}
