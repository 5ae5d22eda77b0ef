package obo

import "postern/oidc"

// hint says in one sentence what to do about a refusal that is known; empty for the others.
func hint(*oidc.RefusalError) string { return "" }
