package session

import (
	"errors"

	"postern/oidc/trace"
)

// endStore ends the span of a call to the store. That there is nothing, or something newer, is an answer and no failure.
func endStore(span *trace.Span, err error) {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		err = nil
	}
	span.End(err)
}
