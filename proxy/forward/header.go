package forward

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// isHopByHop says whether a header is about one connection and not about what it carries (RFC 9110 §7.6.1), or, of the last two, offers what is
// not forwarded but as [IsUpgrade] says (RFC 7540 §3.2.1). Names are in canonical form.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// AboutHops are the headers by which a client tells of the hops before us. None of them is passed on: that is for [Errand.Prepare] to say anew.
var AboutHops = [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// isAboutHops knows them: this is asked for each header of each request.
func isAboutHops(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return true
	}
	return false
}

// roomForMore is for the headers that are written for the server: a map that need not grow.
const roomForMore = 16

// requestHeader is what of a client's header is passed on. The values are those of the client's request.
func requestHeader(in http.Header, withheld *Names, upgrade bool) http.Header {
	out := make(http.Header, len(in)+roomForMore)
	for name, values := range in {
		if !isHopByHop(name) && !isAboutHops(name) && !withheld.Has(name) {
			out[name] = values
		}
	}
	removeOptions(out, in["Connection"])
	if te := in["Te"]; len(te) > 0 && hasToken(te, "trailers") { // a server may need to know that trailers would arrive
		out["Te"] = onlyTrailers
	}
	if upgrade {
		out["Connection"], out["Upgrade"] = upgradeConnection, in["Upgrade"]
	}
	return out
}

var (
	onlyTrailers      = []string{"trailers"}
	upgradeConnection = []string{"Upgrade"}
)

// removeNamed removes what the Connection header of an answer names.
func removeNamed(h http.Header) { removeOptions(h, h["Connection"]) }

func removeOptions(h http.Header, connection []string) {
	for _, line := range connection {
		for option := range strings.SplitSeq(line, ",") {
			if option = strings.Trim(option, " \t"); option != "" {
				delete(h, textproto.CanonicalMIMEHeaderKey(option))
			}
		}
	}
}

// addHeader adds what of an answer's header is passed on.
func addHeader(header, answered http.Header) {
	none := len(header) == 0 // of ours, as nearly always: there is nothing to look up
	for name, values := range answered {
		if isHopByHop(name) {
			continue
		}
		if !none && len(header[name]) > 0 {
			values = slices.Concat(header[name], values)
		}
		header[name] = values
	}
}

// announceTrailers names the trailers that the server has announced, and says how many.
func announceTrailers(header, trailer http.Header) int {
	if len(trailer) == 0 {
		return 0
	}
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		names = append(names, name)
	}
	header["Trailer"] = append(header["Trailer"], strings.Join(names, ", "))
	return len(names)
}

// addTrailers writes the trailers of an answer whose head is on its way: by their names if they are those that were announced. A cookie is none
// of them (RFC 9110 §6.5.1).
func addTrailers(header, trailer http.Header, announced int) {
	delete(trailer, "Set-Cookie")
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		header[prefix+name] = values
	}
}
