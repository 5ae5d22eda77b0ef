package main

import (
	"bytes"
	_ "embed"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const rootsModule = "golang.org/x/crypto/x509roots/fallback"

//go:embed go.sum
var sums string

// rootsBundle is the file of root certificates. It is Mozilla's list, as the Go team publishes it; go.sum pins its contents.
//
// Roots that Mozilla trusts only for certificates issued before some day are left out: a PEM file cannot say that, and a root with a limit
// that is not kept is one that nobody vouches for.
func rootsBundle() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer does not fail
		}
	}
	return out.Bytes()
}

// rootsVersion is the version of the list, and its sum as go.sum has it.
func rootsVersion() (version, sum string, err error) {
	for line := range strings.Lines(sums) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == rootsModule && !strings.HasSuffix(fields[1], "/go.mod") {
			if version != "" {
				return "", "", fmt.Errorf("go.sum has two versions of %s", rootsModule)
			}
			version, sum = fields[1], fields[2]
		}
	}
	if version == "" {
		return "", "", fmt.Errorf("go.sum has no %s", rootsModule)
	}
	return version, sum, nil
}
