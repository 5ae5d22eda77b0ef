package main

// The part of SPDX 2.3 (ISO/IEC 5962) in JSON that the SBOMs use. It was taken because registries, scanners and procurement all read it, and
// because it can say by which file of the image a package is there.
type (
	spdxDocument struct {
		Version           string             `json:"spdxVersion"`
		DataLicense       string             `json:"dataLicense"`
		ID                string             `json:"SPDXID"`
		Name              string             `json:"name"`
		Namespace         string             `json:"documentNamespace"`
		Creation          spdxCreation       `json:"creationInfo"`
		DocumentDescribes []string           `json:"documentDescribes"`
		Packages          []spdxPackage      `json:"packages"`
		Files             []spdxFile         `json:"files"`
		Relationships     []spdxRelationship `json:"relationships"`
	}

	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}

	spdxPackage struct {
		ID               string          `json:"SPDXID"`
		Name             string          `json:"name"`
		VersionInfo      string          `json:"versionInfo"`
		DownloadLocation string          `json:"downloadLocation"`
		FilesAnalyzed    bool            `json:"filesAnalyzed"`
		LicenseConcluded string          `json:"licenseConcluded"`
		LicenseDeclared  string          `json:"licenseDeclared"`
		CopyrightText    string          `json:"copyrightText"`
		PrimaryPurpose   string          `json:"primaryPackagePurpose"`
		Comment          string          `json:"comment,omitempty"`
		ExternalRefs     []spdxReference `json:"externalRefs,omitempty"`
	}

	spdxReference struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}

	spdxFile struct {
		ID               string         `json:"SPDXID"`
		Name             string         `json:"fileName"`
		Checksums        []spdxChecksum `json:"checksums"`
		LicenseConcluded string         `json:"licenseConcluded"`
		CopyrightText    string         `json:"copyrightText"`
		Types            []string       `json:"fileTypes"`
	}

	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}

	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

// noAssertion is what is said about what nobody has looked at.
const noAssertion = "NOASSERTION"

// goSum is the type of a reference whose locator is the sum of a module, as go.sum has it. It is no checksum of SPDX: those are of one file.
const goSum = "https://go.dev/ref/mod#go-sum-files"
