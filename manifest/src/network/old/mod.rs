//! Reading the old OS's network configuration for evidence: which addresses are static, which came
//! by DHCP, who the name servers are. The kernel's state is the truth; these files explain it.
