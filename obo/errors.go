package obo

import "fmt"

// UnsupportedError says that a request cannot be one for this provider, here or at all.
type UnsupportedError struct {
	Provider string
	Why      string // end of a sentence: "is not enabled"
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("identity provider '%s' %s", e.Provider, e.Why)
}
