package forward

// KnownMethod keeps what clients make up out of the names of spans (OpenTelemetry, "http.request.method").
func KnownMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "_OTHER"
}
