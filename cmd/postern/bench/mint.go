package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

// tokenLife is longer than any run.
const tokenLife = 7200 // seconds

// mint lets the provider sign n tokens of an application, no two the same.
func (w *world) mint(ctx context.Context, n, app int, roles ...string) ([]string, error) {
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
				if tokens[i], err = w.mintOne(ctx, client, i, app, roles); err != nil {
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

func (w *world) mintOne(ctx context.Context, client *http.Client, n, app int, roles []string) (string, error) {
	claims := map[string]any{"aud": clientID, "azp": appID(app), "roles": roles, "uti": "token-" + strconv.Itoa(n)}
	body, err := json.Marshal(map[string]any{"profile": "entra-app", "claims": claims, "exp_in": tokenLife})
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
