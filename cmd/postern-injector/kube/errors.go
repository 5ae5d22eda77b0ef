package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer of the API server that is none of the asked kind, or no answer at all.
type Error struct {
	Verb     string // GET, POST, PATCH
	Resource string // such as "secrets postern/postern-injector"
	Status   int    // 0: there was no whole answer
	Reason   string // of the Status object, such as "Forbidden"; may be empty
	Message  string // of the Status object; may be empty
	Cause    error  // nil if there was an answer
}

// Error names the request and what came of it.
func (e *Error) Error() string {
	what := strings.ToLower(e.Verb) + " " + e.Resource + ": "
	switch {
	case e.Status == 0:
		return what + e.Cause.Error()
	case e.Message != "":
		return fmt.Sprintf("%sstatus %d: %s", what, e.Status, e.Message)
	case e.Cause != nil:
		return fmt.Sprintf("%sstatus %d: %s", what, e.Status, e.Cause)
	}
	return fmt.Sprintf("%sstatus %d", what, e.Status)
}

// Unwrap is the cause, if there was no answer.
func (e *Error) Unwrap() error { return e.Cause }

// IsNotFound says whether the API server knows that there is no such object. A proxy's 404 is none of its answers, and is trouble.
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Reason == "NotFound"
}

// IsConflict says whether somebody else was faster: the object is another version, or exists already.
func IsConflict(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusConflict && (e.Reason == "Conflict" || e.Reason == "AlreadyExists")
}

// maxMessage is how much of what a server says about a failure is repeated.
const maxMessage = 300

// refused reads the Status object of a failed request.
func refused(verb, resource string, status int, body []byte) *Error {
	e := &Error{Verb: verb, Resource: resource, Status: status}
	var said struct {
		Kind    string `json:"kind"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil || said.Kind != "Status" {
		return e
	}
	e.Reason, e.Message = said.Reason, said.Message
	if len(e.Message) > maxMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxMessage], "") + "…"
	}
	return e
}
