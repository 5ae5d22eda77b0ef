package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// verifications are Postern's own count of bearer tokens.
type verifications struct {
	known int64 // remembered from an earlier request
	anew  int64 // verified, signature and all
}

// verificationsOf reads the metrics of a Postern.
func verificationsOf(ctx context.Context, p *process) (verifications, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.metrics+"/metrics", nil)
	if err != nil {
		return verifications{}, err
	}
	response, err := plain().Do(request)
	if err != nil {
		return verifications{}, fmt.Errorf("read the metrics of postern: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return verifications{}, fmt.Errorf("read the metrics of postern: %w", err)
	}
	return parseVerifications(text)
}

const verifiedTotal = "postern_tokens_verified_total"

// parseVerifications adds the providers up. A counter that is not there is an error: nothing could be said from it.
func parseVerifications(text []byte) (v verifications, err error) {
	found := false
	for line := range bytes.Lines(text) {
		labels, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(verifiedTotal+"{"))
		end := bytes.LastIndexByte(labels, '}')
		if !ok || end < 0 {
			continue
		}
		found = true
		count, err := strconv.ParseFloat(string(bytes.TrimSpace(labels[end+1:])), 64)
		if err != nil {
			return v, fmt.Errorf("read the metrics of postern: %s is no number", verifiedTotal)
		}
		switch labels = labels[:end]; {
		case bytes.Contains(labels, []byte(`result="hit"`)):
			v.known += int64(count)
		case bytes.Contains(labels, []byte(`result="ok"`)):
			v.anew += int64(count)
		}
	}
	if !found {
		return v, fmt.Errorf("read the metrics of postern: there is no %s", verifiedTotal)
	}
	return v, nil
}
