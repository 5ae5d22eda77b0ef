package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/config"
	"postern/oidc"
	"postern/proxy/policy"
)

// maxExplainInput bounds tokens and claims; Postern itself takes far smaller ones.
const maxExplainInput = 1 << 20

// explanation is the answer to a question.
type explanation struct {
	question question
	cfg      *config.Config
	path     policy.Path
	pathErr  error // the request is malformed
	caller   *oidc.Caller
	tokenErr error // why the token would not be accepted
	decided  policy.Explanation
	public   bool
	warnings []string
}

// answer asks the policy. An error means that there is no telling.
func answer(cfg *config.Config, q question, stdin io.Reader) (explanation, error) {
	a := explanation{question: q, cfg: cfg}
	rules, err := a.loadPolicy()
	if err != nil {
		return a, err
	}
	if err := a.readCaller(stdin); err != nil {
		return a, err
	}
	rawPath, _, _ := strings.Cut(q.path, "?")
	if a.path, a.pathErr = policy.Read(rawPath); a.pathErr != nil {
		return a, nil
	}
	request := policy.Request{Path: a.path, Method: q.method}
	route := rules.Route(request)
	a.public, a.decided = route.Public(), rules.Explain(request, a.caller)
	return a, nil
}

func (a *explanation) loadPolicy() (*policy.Policy, error) {
	settings := policySettings(a.cfg)
	if len(a.cfg.Policy.Files) == 0 {
		a.warnings = append(a.warnings, "policy-file is not given: what is said here is what holds without a policy")
		return policy.WithoutFile(settings), nil
	}
	files, err := readPolicyFiles(a.cfg.Policy.Files)
	if err != nil {
		return nil, asPolicyProblems(err)
	}
	rules, warnings, err := policy.Load(files, settings)
	a.warnings = append(a.warnings, warnings...)
	return rules, asPolicyProblems(err)
}

// readCaller reads who calls. A token that would not be accepted is part of the answer, not an error.
func (a *explanation) readCaller(stdin io.Reader) error {
	option, file := "--token", a.question.token
	if file == "" {
		option, file = "--claims", a.question.claims
	}
	if file == "" {
		return nil
	}
	text, err := readInput(file, stdin)
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	switch isObject := strings.HasPrefix(text, "{"); {
	case isObject && option == "--token":
		return errors.New("--token: it holds a JSON object; --claims reads those")
	case !isObject && option == "--claims":
		return errors.New("--claims: it holds no JSON object")
	}
	if a.question.session {
		if !a.cfg.LoginEnabled() {
			return errors.New("--session: login is off in this configuration; openid.provider or openid.client-id switches it on")
		}
		a.caller, err = sessionCaller(oidc.LoginProviderName(a.cfg.OpenID), text)
		return err
	}
	if !a.cfg.Bearer.Enabled() {
		return fmt.Errorf("%s: no bearer tokens are accepted in this configuration: enable a provider (such as TOKEN_X_ENABLED=true), give issuers, or see bearer.providers", option)
	}
	verifier, err := inboundVerifier(a.cfg, newProviders(a.cfg, oidc.Deps{}, nil), 0, oidc.Deps{})
	if err != nil {
		return err
	}
	a.caller, a.tokenErr = verifier.Inspect(text)
	return nil
}

// readInput reads a token or claims. A token may stand behind the word Bearer, as it was copied from a request.
func readInput(file string, stdin io.Reader) (string, error) {
	if file == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, maxExplainInput+1))
		return cleanInput(data, err)
	}
	return cleanInput(readBounded(file, maxExplainInput))
}

func cleanInput(data []byte, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if len(data) > maxExplainInput {
		return "", errors.New("it is larger than 1 MiB")
	}
	text := strings.TrimSpace(string(data))
	text = strings.TrimSpace(strings.TrimPrefix(text, "Bearer "))
	if text == "" {
		return "", errors.New("it is empty")
	}
	return text, nil
}
