package t1

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

// asked is the part of an AdmissionReview that the webhooks of these tests look at.
type asked struct {
	UID, Namespace, Name string
	DryRun               bool
	Object               struct {
		Metadata struct{ Name, GenerateName, Namespace string }
		Spec     struct {
			Containers []struct{ Name string }
		}
	}
}

// patching answers with a JSON Patch; nil leaves the pod alone.
func patching(patch func(asked) []tree) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Request asked }
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		response := tree{"uid": review.Request.UID, "allowed": true}
		if operations := patch(review.Request); len(operations) > 0 {
			body, err := json.Marshal(operations)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			response["patchType"], response["patch"] = "JSONPatch", body
		}
		_ = json.NewEncoder(w).Encode(tree{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
	}
}

// other registers a webhook of somebody else for the pods of a namespace. By its name it comes after the injector's.
func other(t *testing.T, c *cluster.Cluster, space, failurePolicy string, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	name := "zz-" + space
	object := tree{"metadata": tree{"name": name}, "webhooks": []any{tree{
		"name": name + ".test.dev", "admissionReviewVersions": []string{"v1"}, "sideEffects": "None", "failurePolicy": failurePolicy, "reinvocationPolicy": "Never",
		"clientConfig":      tree{"url": server.URL, "caBundle": base64.StdEncoding.EncodeToString(ca)},
		"rules":             []any{tree{"operations": []string{"CREATE"}, "apiGroups": []string{""}, "apiVersions": []string{"v1"}, "resources": []string{"pods"}}},
		"namespaceSelector": tree{"matchLabels": tree{"kubernetes.io/metadata.name": space}},
	}}}
	if err := c.Do(t.Context(), http.MethodPost, strings.TrimSuffix(hooksPath, "/"), object, nil); err != nil {
		t.Fatal(err)
	}
}

// called waits until a webhook of this test has been asked, by dry runs that count for nothing.
func called(t *testing.T, r *release, space string, count func() int) {
	t.Helper()
	cluster.Eventually(t, "the other webhook is asked", func() error {
		_, _ = r.create(space, pod("probe", unlabelled()), "?dryRun=All")
		if count() == 0 {
			return errors.New("it was not")
		}
		return nil
	})
}

// authority makes certificates as somebody else would who is trusted, or not.
func authority(t testing.TB, names ...string) (certificate tls.Certificate, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: fmt.Sprint(names)}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
