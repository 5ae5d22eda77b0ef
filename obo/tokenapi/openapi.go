package tokenapi

import _ "embed"

const openAPIPath = "/openapi.json"

// openAPI describes the API to programs and people; a test holds it and the handler together.
//
//go:embed openapi.json
var openAPI []byte
