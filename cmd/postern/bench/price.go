package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// priceOfVerification is what it costs this machine at least to find out that an RS256 token is good: its hash and its signature, by the
// standard library alone, in a loop while nothing else of the run works. JSON, policy and all else are not in it.
func priceOfVerification(ctx context.Context, w *world, token string) (time.Duration, error) {
	keys, err := signingKeys(ctx, w.wellKnown())
	if err != nil {
		return 0, err
	}
	var header struct{ Alg, Kid string }
	encoded, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	key := keys[header.Kid]
	if err != nil || header.Alg != "RS256" || key == nil {
		return 0, errors.New("time the verification of a token: it is no RS256 token of the provider")
	}
	const batches, each = 15, 50
	var took []time.Duration
	for range batches {
		begun := time.Now()
		for range each {
			if err := verifyRS256(key, token); err != nil {
				return 0, fmt.Errorf("time the verification of a token: %w", err)
			}
		}
		took = append(took, time.Since(begun)/each)
	}
	return median(took), nil
}

// verifyRS256 is RFC 7515 §5.2 without looking at the header.
func verifyRS256(key *rsa.PublicKey, token string) error {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(token[:max(dot, 0)]))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature)
}

// signingKeys are the RSA keys of a provider, by id.
func signingKeys(ctx context.Context, wellKnown string) (map[string]*rsa.PublicKey, error) {
	var metadata struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := getJSON(ctx, wellKnown, nil, &metadata); err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kty, Kid, N, E string }
	}
	if err := getJSON(ctx, metadata.JWKSURI, nil, &set); err != nil {
		return nil, err
	}
	keys := map[string]*rsa.PublicKey{}
	for _, key := range set.Keys {
		n, err1 := base64.RawURLEncoding.DecodeString(key.N)
		e, err2 := base64.RawURLEncoding.DecodeString(key.E)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("read the keys of the provider: %w", err)
		}
		if key.Kty == "RSA" {
			keys[key.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		}
	}
	return keys, nil
}
