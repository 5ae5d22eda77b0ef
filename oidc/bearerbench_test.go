package oidc

import (
	"crypto/elliptic"
	"fmt"
	"testing"
)

// What a bearer token costs that was seen before.
func BenchmarkVerifyHit(b *testing.B) {
	for _, tokens := range []int{50, 5000} {
		b.Run(fmt.Sprint(tokens), func(b *testing.B) {
			i := newIssuance(b, "entra user")
			raws := make([]string, tokens)
			for n := range raws {
				raws[n] = i.mint(map[string]any{"uti": fmt.Sprint(n)})
				if _, err := i.verifier.Verify(b.Context(), raws[n]); err != nil {
					b.Fatal(err)
				}
			}
			n, ctx := 0, b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if n++; n == tokens {
					n = 0
				}
				if _, err := i.verifier.Verify(ctx, raws[n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a bearer token costs the first time.
func BenchmarkVerifyMiss(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			i := newIssuance(b, "entra user")
			if alg == "ES256" {
				i.setKey("k1", alg, ecKey(b, elliptic.P256()))
				must(b, i.provider.refresh(b.Context()))
				i.accept.Algorithms = []string{alg}
				i.verifier = newVerifier(b, i.accept)
			}
			token := i.mint(nil)
			key, ctx := i.verifier.cache.keyOf(token), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := i.verifier.Verify(ctx, token); err != nil {
					b.Fatal(err)
				}
				i.verifier.cache.drop(key)
			}
		})
	}
}

// What of that is the signature alone.
func BenchmarkVerifySignature(b *testing.B) {
	i := newIssuance(b, "entra user")
	jwt, err := parseBearer(i.mint(nil))
	must(b, err)
	keys, err := i.provider.keysFor(b.Context(), jwt.kid, jwt.alg)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := verifySignature(jwt, keys[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifiedKey(b *testing.B) {
	i := newIssuance(b, "entra user")
	token := i.mint(nil)
	b.SetBytes(int64(len(token)))
	b.ReportAllocs()
	for b.Loop() {
		_ = i.verifier.cache.keyOf(token)
	}
}
