package oidc

import (
	"context"
	"errors"
)

// Examination is what one look at a provider found, for whoever asks what is wrong with it rather than runs it.
type Examination struct {
	Metadata *Metadata // as it would be used: explicit endpoints win; nil if it cannot be used
	Keys     []KeyInfo // those that can verify something
	Reason   string    // the first trouble, by the codes of [Health]; empty if there was none
	Err      error     // what it came of
	Status   int       // of an HTTP answer that was this trouble; 0 for any other
}

// KeyInfo names a key.
type KeyInfo struct{ ID, Algorithm string }

// Examine reads metadata and keys once, by the rules of [Provider.Run] and instead of it. Grants can be sent afterwards if there is metadata,
// also while its keys are of no use.
func (p *Provider) Examine(ctx context.Context) Examination {
	md, err := p.fetchMetadata(ctx)
	if err != nil {
		status, _ := errors.AsType[statusError](err)
		return Examination{Reason: faultReason(err), Err: err, Status: int(status)}
	}
	out := Examination{Metadata: md}
	keys, err := p.fetchKeys(ctx, md)
	if err != nil {
		out.Reason, out.Err = faultReason(err), err
	}
	if keys == nil {
		keys = &keySet{asOf: p.deps.Now()}
	}
	for _, key := range keys.keys {
		out.Keys = append(out.Keys, KeyInfo{ID: key.kid, Algorithm: key.alg})
	}
	p.write.Lock()
	defer p.write.Unlock()
	if p.state.Swap(&snapshot{metadata: md, keys: keys}) == nil {
		close(p.ready)
	}
	return out
}

func faultReason(err error) string {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.reason
	}
	return reasonUnreachable
}

// CredentialInfo says how a client shows who it is, with nothing secret.
type CredentialInfo struct {
	Methods          []string // of token_endpoint_auth_methods_supported, of which one suffices
	Algorithm, KeyID string   // of a private key
}

// Describe says which credential is used, by the order of [NewAuthenticator], or why it cannot be.
func (c Credentials) Describe() (CredentialInfo, error) {
	if _, err := NewAuthenticator(c, Deps{}); err != nil {
		return CredentialInfo{}, err
	}
	switch {
	case !c.JWK.Empty():
		key, err := parseSigningKey(c.JWK.Reveal())
		if err != nil {
			return CredentialInfo{}, err
		}
		return CredentialInfo{Methods: []string{"private_key_jwt"}, Algorithm: string(key.alg), KeyID: key.kid}, nil
	case !c.Secret.Empty():
		return CredentialInfo{Methods: []string{"client_secret_post", "client_secret_basic"}}, nil
	}
	return CredentialInfo{Methods: []string{"private_key_jwt"}}, nil
}
