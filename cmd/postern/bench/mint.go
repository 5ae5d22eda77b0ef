package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"postern/oidc/devidp"
)

// tokenLife is longer than any run.
const tokenLife = 7200 // seconds

// mintRequest is a token as the provider is asked for it.
type mintRequest struct {
	Profile string         `json:"profile"`
	Claims  map[string]any `json:"claims"`
	Life    int            `json:"exp_in"` // seconds
}

// appToken is one of an application's own.
func appToken(app int, roles ...string) mintRequest {
	return mintRequest{Profile: devidp.MintEntraApp, Claims: map[string]any{"aud": clientID, "azp": appID(app), "roles": roles}}
}

// mint lets the provider sign n such tokens, no two the same.
func (w *world) mint(ctx context.Context, n int, like mintRequest) ([]string, error) {
	workers := 2 * runtime.NumCPU() // while one waits for the provider, another one's request is there
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	defer client.CloseIdleConnections()
	tokens, failures := make([]string, n), make(chan error, workers)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				var err error
				if tokens[i], err = w.mintOne(ctx, client, i, like); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return nil, fmt.Errorf("mint a token: %w", err)
	}
	return tokens, nil
}

func (w *world) mintOne(ctx context.Context, client *http.Client, n int, like mintRequest) (string, error) {
	like.Claims, like.Life = maps.Clone(like.Claims), tokenLife
	like.Claims["uti"] = "token-" + strconv.Itoa(n)
	body, err := json.Marshal(like)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.idp.address+"/_dev/mint", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	var minted struct{ Token string }
	if err := json.Unmarshal(answer, &minted); err != nil {
		return "", err
	}
	if minted.Token == "" {
		return "", errors.New("there is none in the answer")
	}
	return minted.Token, nil
}
