package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// DefaultTenant owns the runs of a server without API keys.
const DefaultTenant = "default"

// authenticate finds the caller's tenant by its API key.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		switch tenant, ok := s.tenantOf(r.Header.Get("Authorization")); {
		case ok:
			x.tenant = tenant
		case x.operation.open:
		default:
			s.fail(w, r, problem(codeUnauthorized, whyNot(r.Header.Get("Authorization"))))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tenantOf compares the key with every known one, so that the time it takes
// says nothing about any of them.
func (s *server) tenantOf(authorization string) (tenant string, ok bool) {
	if len(s.Tenants) == 0 {
		return DefaultTenant, true
	}
	key := bearer(authorization)
	if key == "" {
		return "", false
	}
	sum := sha256.Sum256([]byte(key))
	for name, known := range s.Tenants {
		for i := range known {
			if subtle.ConstantTimeCompare(sum[:], known[i][:]) == 1 {
				tenant, ok = name, true
			}
		}
	}
	return tenant, ok
}

// bearer returns the key that a caller gives, "" when there is none.
func bearer(authorization string) string {
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// whyNot says what is wrong with a caller's authorization.
func whyNot(authorization string) string {
	if bearer(authorization) != "" {
		return "The API key is that of no tenant."
	}
	return "An API key is needed, as Authorization: Bearer KEY."
}
