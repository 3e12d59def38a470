package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// CheckSecret says what is wrong with a secret, without showing it: it must be
// whsec_ and 24 to 64 random bytes in base64, as Standard Webhooks has it.
func CheckSecret(secret string) error {
	text, marked := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case !marked:
		return errors.New("a webhook secret begins with whsec_")
	case err != nil || strings.ContainsAny(text, "\r\n"): // the error may show a part of it
		return errors.New("what follows whsec_ is not base64")
	case len(key) < 24 || len(key) > 64:
		return fmt.Errorf("a webhook secret has 24 to 64 bytes, this one %d", len(key))
	}
	return nil
}

// A signer signs for one tenant, by every secret that it has: while one
// replaces the other, receivers may know either.
type signer []*standardwebhooks.Webhook

func newSigner(secrets []string) (signer, error) {
	var s signer
	for _, secret := range secrets {
		// The library itself takes an empty key, and any text without the prefix.
		if err := CheckSecret(secret); err != nil {
			return nil, err
		}
		one, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errors.New("a webhook secret cannot be read")
		}
		s = append(s, one)
	}
	return s, nil
}

// sign returns the signatures of a message sent now, as the header has them.
func (s signer) sign(id string, now time.Time, body []byte) (string, error) {
	signatures := make([]string, len(s))
	for i, one := range s {
		var err error
		if signatures[i], err = one.Sign(id, now, body); err != nil {
			return "", err
		}
	}
	return strings.Join(signatures, " "), nil
}
