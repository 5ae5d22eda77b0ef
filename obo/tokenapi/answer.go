package tokenapi

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"postern/obo"
	"postern/obo/guard"
	"postern/oidc/correlation"
)

const headerRequestID = correlation.HeaderRequestID

// countedLength is from where on net/http no longer says the length of a short answer by itself.
const countedLength = 2000

// json writes an answer. A caller that is gone does not matter.
func (v *visit) json(status int, body []byte) {
	header := v.w.Header()
	header["Content-Type"], header["Cache-Control"], header["X-Content-Type-Options"] = v.h.typeJSON, v.h.noStore, v.h.noSniff
	if len(body) >= countedLength {
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	if _, given := correlation.GivenRequestID(v.r.Header); given { // what went well has no other use for one
		header[headerRequestID] = v.r.Header[headerRequestID][:1:1]
	}
	v.status = status
	if status != http.StatusOK {
		v.w.WriteHeader(status)
	}
	_, _ = v.w.Write(body)
}

// empty answers as Texas does where there is no such thing here.
func (v *visit) empty(status int, allow string) {
	v.w.Header()["X-Content-Type-Options"] = v.h.noSniff
	if allow != "" {
		v.w.Header().Set("Allow", allow) // RFC 9110 §15.5.6
	}
	v.status = status
	v.w.WriteHeader(status)
}

// failRequest answers a request that cannot be read.
func (v *visit) failRequest(problem *fault) {
	v.fail(obo.Failure{Status: http.StatusBadRequest, Body: obo.ErrorBody{Code: "invalid_request", Description: problem.text}}, problem.kind, nil)
}

// refuse answers somebody who may not ask.
func (v *visit) refuse(refusal *guard.Refusal) {
	v.challenge = refusal.Challenge
	v.refusal = refusal.Reason
	v.fail(obo.Failure{Status: refusal.Status, Body: obo.ErrorBody{Code: refusal.Code, Description: refusal.Description}}, kindRefused, nil)
	v.h.metrics.refused.WithLabelValues(refusal.Reason).Inc()
}

// fail writes an error as the app gets it. kind is that of the metrics; err is for the log, or nil.
func (v *visit) fail(f obo.Failure, kind string, err error) {
	v.kind, v.reason, v.err = kind, cmp.Or(v.refusal, f.Body.Code), err
	body, problem := f.Body.Encode()
	if problem != nil {
		f.Status, body = http.StatusInternalServerError, []byte(`{"error":"server_error","error_description":"the error cannot be written down"}`)
	}
	header := v.w.Header()
	header[headerRequestID] = []string{v.ctx.RequestID()}
	if f.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if f.Status == http.StatusUnauthorized { // RFC 9110 §15.5.2
		if v.challenge == "" {
			v.challenge = `Bearer error="` + f.Body.Code + `"`
		}
		header.Set("Www-Authenticate", v.challenge)
	}
	v.h.recordRefusal(v, f.Status)
	v.json(f.Status, body)
}
