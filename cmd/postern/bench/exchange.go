package main

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// headerNext carries the token for the next API, which Postern has exchanged the user's for.
const headerNext = "X-Store-Token"

// openExchange starts the Postern whose app calls another API as its user, and gets a token for that with each request.
func (w *world) openExchange(ctx context.Context, callers []*caller) error {
	for _, c := range callers {
		_, port, err := net.SplitHostPort(w.second)
		if err != nil {
			return err
		}
		tokenAPI, err := freeAddress(ctx)
		if err != nil {
			return err
		}
		ingress := "http://" + w.second
		options := append(w.loginOptions(ingress), "--require-auth=true", "--token.bind-address="+tokenAPI,
			`--upstream-tokens=[{header: `+headerNext+`, provider: entra_id, target: "`+target+`", required: true}]`)
		if c.postern, _, err = w.startPostern(ctx, "127.0.0.1:"+port, w.entraEnv(), options...); err != nil {
			return err
		}
		w.targets = append(w.targets, c.postern)
		cookie, err := login(ctx, ingress)
		if err != nil {
			return err
		}
		c.common = browserHeaders(w.second, plainCookies+"; "+cookie)
		got, err := w.headersFor(ctx, c.postern, c.header(0))
		if err != nil {
			return err
		}
		if got.Get(headerNext) == "" {
			return errors.New("the app gets no token for the next API")
		}
	}
	return nil
}

// plausibleExchange makes sure that the app got its token with every request, and that it was a remembered one.
func plausibleExchange(all int, seen counts, bought int) error {
	switch least := nearlyAll(all); {
	case seen.Handed < least:
		return fmt.Errorf("only %d of %d requests brought the app a token for the next API", seen.Handed, all)
	case int64(all-bought) < least:
		return fmt.Errorf("the provider was asked for %d tokens during %d requests with known ones", bought, all)
	}
	return nil
}
