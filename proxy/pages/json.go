package pages

import (
	"encoding/json"
	"net/http"
)

// problem is the body that every listener of Postern answers to a program (contract 4.2).
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	RequestID   string `json:"request_id"`
}

// JSON answers a program: {"error":…,"error_description":…,"request_id":…}. code and description are texts of ours, never of the request.
// retryAfter is in seconds, 0 for none. [http.Server] leaves the body out of the answer to HEAD.
func (p *Pages) JSON(w http.ResponseWriter, status int, code, description, requestID string, retryAfter int) {
	body, err := json.Marshal(problem{code, description, cleanID(requestID)})
	if err != nil { // strings always encode; json replaces invalid UTF-8
		body = []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	finish(w, http.MethodGet, status, retryAfter, append(body, '\n'))
}
