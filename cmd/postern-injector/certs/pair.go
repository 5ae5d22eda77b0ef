package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	leafLife = 30 * 24 * time.Hour
	caLife   = 365 * 24 * time.Hour
	backdate = 5 * time.Minute // for API servers whose clocks are behind

	caName = "postern-injector CA" // tells our CAs from those of others
)

// pair is a leaf with its key, and the CA that signed it.
type pair struct {
	cert tls.Certificate // with Leaf
	ca   *x509.Certificate
	text map[string][]byte // PEM, as the Secret has it
}

// Keys of the Secret. Two of them are those of a Secret of type kubernetes.io/tls.
const (
	keyCert     = "tls.crt"
	keyKey      = "tls.key"
	keyCA       = "ca.crt"
	keyPrevious = "previous-ca.crt" // CAs of leaves that some replica may still serve
)

// makePair makes a CA and its only leaf. The CA's key is a local variable of this function, and nowhere else (S-48).
func makePair(names []string, now time.Time) (*pair, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the CA's key: %w", err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the leaf's key: %w", err)
	}
	caTemplate, leafTemplate, err := templates(names, now)
	if err != nil {
		return nil, err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leafTemplate, ca, leafKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("sign the leaf: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return nil, fmt.Errorf("encode the leaf's key: %w", err)
	}
	return parsePair(map[string][]byte{
		keyCert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER}),
		keyKey:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		keyCA:   encode(ca),
	}, names, now)
}

// templates are the CA, which can vouch for these names alone, and the leaf.
func templates(names []string, now time.Time) (ca, leaf *x509.Certificate, err error) {
	serials := make([]*big.Int, 2)
	for i := range serials {
		if serials[i], err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
			return nil, nil, fmt.Errorf("choose a serial number: %w", err)
		}
	}
	ca = &x509.Certificate{
		SerialNumber: serials[0], Subject: pkix.Name{CommonName: caName}, NotBefore: now.Add(-backdate), NotAfter: now.Add(caLife),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, PermittedDNSDomainsCritical: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf = &x509.Certificate{
		SerialNumber: serials[1], Subject: pkix.Name{CommonName: "postern-injector"}, NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		ip := net.ParseIP(name)
		if ip == nil {
			leaf.DNSNames, ca.PermittedDNSDomains = append(leaf.DNSNames, name), append(ca.PermittedDNSDomains, name)
			continue
		}
		if four := ip.To4(); four != nil {
			ip = four
		}
		leaf.IPAddresses = append(leaf.IPAddresses, ip)
		ca.PermittedIPRanges = append(ca.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	return ca, leaf, nil
}

var errNone = errors.New("the Secret holds no certificate")

// parsePair reads a Secret's data and checks all that the API server will: that the key belongs to the leaf, that the CA vouches for it, for
// each of the names, now.
func parsePair(data map[string][]byte, names []string, now time.Time) (*pair, error) {
	if len(data[keyCert]) == 0 && len(data[keyKey]) == 0 && len(data[keyCA]) == 0 {
		return nil, errNone
	}
	cert, err := tls.X509KeyPair(data[keyCert], data[keyKey])
	if err != nil {
		return nil, err
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, err
		}
	}
	cas := certificates(data[keyCA])
	if len(cas) != 1 || !ours(cas[0]) {
		return nil, errors.New("ca.crt is not one CA of the injector's own")
	}
	roots := x509.NewCertPool()
	roots.AddCert(cas[0])
	for _, name := range names {
		if net.ParseIP(name) != nil {
			name = "[" + name + "]" // as x509 tells addresses from names
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{
			DNSName: name, Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}); err != nil {
			return nil, err
		}
	}
	if life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore); life > leafLife+backdate {
		return nil, fmt.Errorf("the leaf lives %s, longer than ours do", life)
	}
	text := map[string][]byte{keyCert: data[keyCert], keyKey: data[keyKey], keyCA: encode(cas[0])}
	return &pair{cert: cert, ca: cas[0], text: text}, nil
}

// ours says whether a CA is one that this program made, as far as it tells.
func ours(ca *x509.Certificate) bool { return ca.IsCA && ca.Subject.CommonName == caName }

// over says whether the only leaf that one of our CAs signed has ended, so that nobody can serve it.
func over(ca *x509.Certificate, now time.Time) bool {
	return !now.Before(ca.NotBefore.Add(backdate + leafLife))
}
