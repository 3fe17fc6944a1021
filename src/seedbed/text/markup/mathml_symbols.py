"""Signs of MathML and their LaTeX: Unicode's names of the letters, and the commands of LaTeX and amsmath."""

from __future__ import annotations


def _pairs(told: str) -> dict[str, str]:
    words = told.split()
    return {sign: f"\\{name}" for sign, name in zip(words[::2], words[1::2], strict=True)}


SYMBOLS: dict[str, str] = {
    **_pairs("""
    α alpha β beta γ gamma δ delta ε varepsilon ϵ epsilon ζ zeta η eta θ theta ϑ vartheta ι iota κ kappa λ lambda μ mu
    ν nu ξ xi π pi ϖ varpi ρ rho ϱ varrho ς varsigma σ sigma τ tau υ upsilon φ varphi ϕ phi χ chi ψ psi ω omega
    Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Υ Upsilon Φ Phi Ψ Psi Ω Omega
    ∑ sum ∏ prod ∐ coprod ∫ int ∬ iint ∭ iiint ∮ oint ⋃ bigcup ⋂ bigcap ⨁ bigoplus ⨂ bigotimes ⋁ bigvee ⋀ bigwedge
    ∞ infty ≤ leq ≥ geq ≠ neq ≪ ll ≫ gg ≈ approx ≡ equiv ∼ sim ≃ simeq ≅ cong ∝ propto × times ÷ div ± pm ∓ mp
    ⋅ cdot · cdot ∘ circ ∗ ast ⊕ oplus ⊗ otimes ⊙ odot ⊥ perp ⊤ top ∥ parallel ∣ mid ≺ prec ≻ succ
    ∈ in ∉ notin ∋ ni ⊂ subset ⊃ supset ⊆ subseteq ⊇ supseteq ∪ cup ∩ cap ∅ emptyset ∖ setminus
    ∀ forall ∃ exists ∄ nexists ¬ neg ∧ land ∨ lor ⊢ vdash ⊨ models ∴ therefore ∂ partial ∇ nabla
    → to ← leftarrow ↔ leftrightarrow ⇒ Rightarrow ⇐ Leftarrow ⇔ Leftrightarrow ↦ mapsto ↑ uparrow ↓ downarrow
    ⟶ longrightarrow … dots ⋯ cdots ⋮ vdots ⋱ ddots ′ prime † dagger
    ⟨ langle ⟩ rangle ⌊ lfloor ⌋ rfloor ⌈ lceil ⌉ rceil ‖ | ℓ ell ℏ hbar ℜ Re ℑ Im ℵ aleph ∠ angle △ triangle
    { { } } % % # # & & $ $
    """),
    **{letter: f"\\mathbb{{{plain}}}" for letter, plain in zip("ℂℍℕℙℚℝℤ", "CHNPQRZ", strict=True)},
    **dict.fromkeys("\u2061\u2062\u2063\u2064\u200b", ""),
    "−": "-",
    "\u00a0": "\\ ",
}
"""A sign and its LaTeX; the invisible operators have none."""


def _commands(told: str) -> frozenset[str]:
    return frozenset(told.split())


FUNCTIONS = _commands("""
    sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln exp lim limsup liminf max min sup inf det dim
    ker gcd deg arg hom Pr
""")

LIMITS = frozenset(
    {f"\\{name}" for name in _commands("lim limsup liminf max min sup inf det gcd Pr")}
    | {SYMBOLS[sign] for sign in "∑∏∐⋃⋂⨁⨂⋁⋀∫∬∭∮"}
)
"""What carries its limits above and below."""

ACCENTS: dict[str, str] = {
    **dict.fromkeys("^ˆ", "hat"),
    "¯": "bar",
    **dict.fromkeys("‾_", "overline"),
    **dict.fromkeys("~˜", "tilde"),
    "\\sim": "tilde",
    **dict.fromkeys(("\\to", "⃗"), "vec"),
    **dict.fromkeys(".˙", "dot"),
    "¨": "ddot",
    "⏞": "overbrace",
}
"""What stands above, as `_symbols` gives it, and the accent that it is."""

VARIANTS = {
    "bold": "mathbf",
    "bold-italic": "boldsymbol",
    "double-struck": "mathbb",
    "script": "mathcal",
    "fraktur": "mathfrak",
    "sans-serif": "mathsf",
    "monospace": "mathtt",
}
