package doctor

import (
	"context"
	"slices"
	"strings"
)

// policy tells the doubts about the access policy, and who reaches the app without a caller.
func (w World) policy(context.Context) []Finding {
	const check = "policy"
	cfg := w.Config
	rules, warnings, err := w.Policy()
	if err != nil { // it was good when the configuration was read, a moment ago
		return []Finding{problem(check, "Mend the policy file; \"postern config\" lists everything that is wrong with it.", "%v", err)}
	}
	var found []Finding
	for _, text := range warnings {
		found = append(found, warning(check, "\"postern explain METHOD PATH\" shows what decides a request.", "%s", text))
	}
	for _, pattern := range rules.PublicPatterns() {
		if _, path, _ := strings.Cut(pattern, "/"); slices.Contains([]string{"**", "*"}, path) {
			found = append(found, warning(check, "Make public only what must be.", "%s is public: everyone reaches the whole app without a caller", pattern))
		}
	}
	if cfg.Policy.Mode == "report" && (len(cfg.Policy.Files) > 0 || cfg.Front.RequireAuth) {
		found = append(found, warning(check, "Set policy-mode to enforce when the log shows no wrong refusal.", "policy-mode is report: what would be refused is only logged"))
	}
	return append(found, ok("access", "%s", cfg.WhoWithoutCaller(rules.PublicPatterns())))
}
