package obo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"postern/oidc"
)

// Failure is an error as the app gets it.
type Failure struct {
	Status     int
	RetryAfter time.Duration // 0: none is sent
	Body       ErrorBody
	Refused    bool // the provider said no, and asking again will not help
}

// ErrorBody is the answer's body: RFC 6749 §5.2, what Entra ID adds to it, and a hint of ours.
type ErrorBody struct {
	Code          string          `json:"error"`
	Description   string          `json:"error_description"`
	Hint          string          `json:"hint,omitempty"`   // what to do about it, in one sentence
	Claims        string          `json:"claims,omitempty"` // claims challenge, for the next login
	Suberror      string          `json:"suberror,omitempty"`
	ErrorCodes    json.RawMessage `json:"error_codes,omitempty"`
	CorrelationID string          `json:"correlation_id,omitempty"`
}

// Encode is the body as it is sent, by the token API and by the egress alike. Hints have angle brackets, and no HTML reads them.
// The error is about a list of codes that is none.
func (b ErrorBody) Encode() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(b)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// Explain finds the answer to an error of the [Broker]. Trouble is named by its kind: nobody to speak to is 503, no answer in time 504,
// and one without sense 502. What a provider said itself is passed on with its own status, as Texas does.
func Explain(err error) Failure {
	if unsupported, ok := errors.AsType[*UnsupportedError](err); ok {
		return failure(http.StatusBadRequest, "invalid_request", unsupported.Error())
	}
	if invalid, ok := errors.AsType[*oidc.InvalidTokenError](err); ok {
		return failure(http.StatusUnauthorized, "invalid_token", "The user token is not accepted: "+invalid.Reason+".")
	}
	if refusal, ok := errors.AsType[*oidc.RefusalError](err); ok {
		return explainRefusal(refusal)
	}
	if trouble, ok := errors.AsType[*oidc.TroubleError](err); ok {
		return explainTrouble(trouble)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return failure(http.StatusServiceUnavailable, serverError, "The request was given up before there was an answer.")
	}
	return failure(http.StatusInternalServerError, serverError, "Something went wrong in Postern; its log says what.")
}

const serverError = "server_error" // RFC 6749 §4.1.2.1

func failure(status int, code, description string) Failure {
	return Failure{Status: status, Body: ErrorBody{Code: code, Description: description}}
}

func explainRefusal(r *oidc.RefusalError) Failure {
	description := r.Words
	if description == "" {
		description = fmt.Sprintf("The identity provider '%s' gave no reason.", r.Provider)
	}
	f := failure(r.Status, r.Code, description)
	f.Body.Claims, f.Body.Suberror, f.Body.ErrorCodes, f.Body.CorrelationID = r.Claims, r.Suberror, r.ErrorCodes, r.CorrelationID
	f.Body.Hint = hint(r)
	f.Refused = true
	return f
}

func explainTrouble(t *oidc.TroubleError) Failure {
	var f Failure
	switch who := "identity provider '" + t.Provider + "' "; {
	case errors.Is(t, oidc.ErrCredential):
		return failure(http.StatusInternalServerError, serverError, "Failed to sign assertion")
	case t.Malformed:
		f = failure(http.StatusBadGateway, serverError, who+"gave an answer that makes no sense")
	case t.Answer != nil && t.Answer.Words != "":
		f = explainRefusal(t.Answer)
		f.Refused = false
	case t.Timeout():
		f = failure(http.StatusGatewayTimeout, serverError, who+"did not answer in time")
	case t.Status != 0:
		f = failure(http.StatusServiceUnavailable, serverError, fmt.Sprintf("%sis in trouble: it answers %d", who, t.Status))
	case errors.Is(t, oidc.ErrNotReady):
		f = failure(http.StatusServiceUnavailable, serverError, who+"is not ready: its metadata and keys have not been read yet")
	default:
		f = failure(http.StatusServiceUnavailable, serverError, who+"cannot be reached")
	}
	f.RetryAfter = t.RetryAfter
	if f.RetryAfter == 0 && f.Status == http.StatusServiceUnavailable {
		f.RetryAfter = time.Second
	}
	return f
}
