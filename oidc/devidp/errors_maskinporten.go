package devidp

import (
	"encoding/hex"
	"net/http"
)

// maskinportenCatalogue is the refusals of Maskinporten by the codes that its guide to errors lists. Never changed.
var maskinportenCatalogue = map[string]entry{
	"MP-011": {400, "invalid_request", "The grant is no JWT, or one of its claims has the wrong form."},
	"MP-012": {400, "invalid_grant", "Invalid assertion. The grant was used before."},
	"MP-100": {400, "invalid_grant", "Invalid assertion. Client authentication failed. Unknown client."},
	"MP-110": {400, "invalid_grant", "Invalid assertion. Client authentication failed. Invalid JWT claim aud."},
	"MP-121": {400, "invalid_grant", "Invalid assertion. Client authentication failed. Expired key."},
	"MP-124": {400, "invalid_grant", "Invalid assertion. Client authentication failed. Invalid JWT signature."},
	"MP-130": {400, "invalid_grant", "Invalid assertion. The grant has expired, is not valid yet, or is valid for too long."},
	"MP-200": {400, "invalid_scope", "Invalid scope. The client has no access to it, or asked for none."},
	"MP-201": {400, "invalid_scope", "Invalid scope. The consumer has delegated no access to it."},
	"MP-301": {400, "invalid_authorization_details", "Invalid authorization_details. Unknown type."}, // RFC 9396 §5
}

// refuseMP makes the error of that code. Its text starts with the code and ends with a trace, as the real one's does.
func (x *exchange) refuseMP(code string) *oauthError {
	e := maskinportenCatalogue[code]
	if e.code == "" {
		e = entry{http.StatusBadRequest, "invalid_request", "Invalid request."}
	}
	return say(e.status, e.code, code+": "+e.text+" (trace_id: "+hex.EncodeToString(x.idp.random(16))+")")
}
