package proxy

import (
	"net/http"

	"postern/oidc"
)

// serveKeySet answers with the keys that assertions are verified with. Cache-Control says what they are worth (S-20): keys of a file, fromFile, are
// those of every replica; keys made at start are this process's own, and good only for the app beside it.
//
// The content type is that of other providers' sets. Widely used clients accept nothing but application/json, although RFC 7517 §8.5.2
// registers a narrower one.
func serveKeySet(w http.ResponseWriter, signer *oidc.Signer, fromFile bool) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	if fromFile {
		cacheable(header)
	}
	_, _ = w.Write(signer.PublicKeySet())
}

// cacheable takes back [noStore] for an answer that is the same for everybody.
func cacheable(header http.Header) {
	header.Set("Cache-Control", "public, max-age=300")
	for _, name := range [...]string{"Expires", "Pragma", "X-Accel-Expires"} {
		header.Del(name)
	}
}
